//! Validates the body of a request field by field, and collects all errors.

use serde_json::{Map, Value};

use crate::response::Response;

/// The fields of a body that have not been read yet, and the errors so far.
pub(crate) struct Fields {
    body: Map<String, Value>,
    errors: Map<String, Value>,
}

impl Fields {
    pub(crate) fn new(body: Map<String, Value>) -> Self {
        Self {
            body,
            errors: Map::new(),
        }
    }

    /// Removes and returns a field.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.body.shift_remove(name)
    }

    /// Records an error; the first one of a field counts.
    pub(crate) fn reject(&mut self, name: &str, text: &str) {
        self.errors.entry(name).or_insert_with(|| text.into());
    }

    /// A string; null counts as absent.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            Value::Null => None,
            _ => {
                self.reject(name, "Input should be a valid string");
                None
            }
        }
    }

    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.take(name)? {
            Value::Bool(flag) => Some(flag),
            Value::Null => None,
            _ => {
                self.reject(name, "Input should be a valid boolean");
                None
            }
        }
    }

    pub(crate) fn texts(&mut self, name: &str) -> Option<Vec<String>> {
        let value = self.take(name)?;
        let texts = value.as_array().and_then(|items| {
            items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<Vec<String>>>()
        });
        if texts.is_none() {
            self.reject(name, "Input should be a valid list of strings");
        }
        texts
    }

    /// Fails with 400 and all errors. Fields that were not read are unknown.
    pub(crate) fn finish(mut self, reject_unknown: bool) -> Result<(), Response> {
        if reject_unknown {
            let unknown: Vec<String> = self.body.keys().cloned().collect();
            for name in unknown {
                self.reject(&name, "Extra inputs are not permitted");
            }
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Response::invalid_fields(&self.errors))
        }
    }
}
