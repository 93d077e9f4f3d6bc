//! Takes the body of a request apart, field by field, and collects all that is wrong. Knows no object.

use serde_json::{Map, Value};

use crate::response::Answer;

/// The body of a request, field by field, with all that is wrong collected.
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

    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.body.shift_remove(name)
    }

    pub(crate) fn fault(&mut self, name: &str, text: &str) {
        self.errors.entry(name).or_insert_with(|| text.into());
    }

    /// A string; null counts as left out.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            Value::Null => None,
            _ => {
                self.fault(name, "Input should be a valid string");
                None
            }
        }
    }

    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.take(name)? {
            Value::Bool(flag) => Some(flag),
            Value::Null => None,
            _ => {
                self.fault(name, "Input should be a valid boolean");
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
            self.fault(name, "Input should be a valid list of strings");
        }
        texts
    }

    /// 400 with everything that is wrong; what nobody took is unknown.
    pub(crate) fn finish(mut self, reject_unknown: bool) -> Result<(), Answer> {
        if reject_unknown {
            let unknown: Vec<String> = self.body.keys().cloned().collect();
            for name in unknown {
                self.fault(&name, "Extra inputs are not permitted");
            }
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Answer::invalid_fields(&self.errors))
        }
    }
}
