//! The section `[server.tls]`.

use crate::config::identity::TlsFiles;
use crate::config::reader::Reader;
use crate::domain::input::fields::Node;

impl Reader<'_> {
    /// Reads the paths of both files, which must be valid and fit together now.
    pub(super) fn tls(&self, node: Node<'_>) -> Option<TlsFiles> {
        let mut fields = node.fields()?;
        let mut at_key = None;
        let certificate = fields.required("certificate_file", |node| Some((self.path(&node)?, node)));
        let key = fields.required("key_file", |node| {
            at_key = Some(node.clone());
            self.path(&node)
        });
        fields.finish()?;
        let ((certificate, at_certificate), key, at_key) = (certificate?, key?, at_key?);
        let files = TlsFiles { certificate, key };
        match files.load() {
            Ok(_) => Some(files),
            Err(error) if error.in_key => at_key.fault(error.message),
            Err(error) => at_certificate.fault(error.message),
        }
    }
}
