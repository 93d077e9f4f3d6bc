//! The section `[traces]`. The collector is not called.

use url::Url;

use crate::config::settings::Traces;
use crate::config::values::or;
use crate::domain::input::fields::Node;

pub(super) fn traces(node: Node<'_>) -> Option<Traces> {
    let mut fields = node.fields()?;
    let endpoint = fields.nullable("endpoint", |node| collector(&node));
    let percent = or(
        &mut fields,
        "percent",
        |node| {
            node.integer(0, 100)
                .and_then(|percent| u8::try_from(percent).ok())
        },
        100,
    );
    fields.finish()?;
    Some(Traces {
        endpoint: endpoint?,
        percent: percent?,
    })
}

fn collector(node: &Node<'_>) -> Option<Url> {
    match node.string()?.parse::<Url>() {
        Ok(url) if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() => {
            node.fault("must not contain a user, a password or a fragment")
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.path() != "/" => Some(url),
        _ => node.fault(
            "must be the whole URL of a collector's OTLP over HTTP, like \"http://collector:4318/v1/traces\"",
        ),
    }
}
