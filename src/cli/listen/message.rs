//! Server-sent events: splits a stream of bytes into messages.
//!
//! The format is the one of the HTML standard. Only the fields that the service sends are kept.

/// A message: an event, or only an id from which a client can resume.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: Option<String>,
    /// The field `event`.
    pub(super) kind: Option<String>,
    pub(super) data: Option<String>,
}

/// Collects bytes and returns complete messages.
#[derive(Default)]
pub(super) struct Parser {
    /// Bytes of a line that has not ended.
    unread: Vec<u8>,
    message: Message,
}

impl Parser {
    /// Adds bytes as they arrive.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// Returns the number of bytes that wait for the end of their line.
    pub(super) fn pending(&self) -> usize {
        self.unread.len()
    }

    /// Returns the next complete message.
    pub(super) fn next(&mut self) -> Option<Message> {
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches('\n').trim_end_matches('\r');
            if line.is_empty() {
                let message = std::mem::take(&mut self.message);
                if message != Message::default() {
                    return Some(message);
                }
                continue;
            }
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                "id" => self.message.id = Some(value.to_owned()),
                "event" => self.message.kind = Some(value.to_owned()),
                "data" => match &mut self.message.data {
                    Some(data) => data.extend(["\n", value]),
                    None => self.message.data = Some(value.to_owned()),
                },
                // A comment, `retry`, or a field that the standard does not know.
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses a text that arrives in pieces of this size.
    fn parse(text: &str, size: usize) -> Vec<Message> {
        let mut parser = Parser::default();
        let mut messages = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            parser.push(piece);
            messages.extend(std::iter::from_fn(|| parser.next()));
        }
        messages
    }

    #[test]
    fn messages_are_the_same_however_the_bytes_arrive() {
        let text = ": comment\n\nid: evt_0\n\nid: evt_1\nevent: order.fulfilled\ndata: {\"ü\":\"a: b\"}\n\n\
            retry: 5\r\nid:evt_2\r\ndata: one\r\ndata: two\r\n\r\nid: evt_3\nevent: never ended";
        let message = |id: &str, kind: Option<&str>, data: Option<&str>| Message {
            id: Some(id.to_owned()),
            kind: kind.map(str::to_owned),
            data: data.map(str::to_owned),
        };
        let expected = [
            message("evt_0", None, None),
            message("evt_1", Some("order.fulfilled"), Some("{\"ü\":\"a: b\"}")),
            message("evt_2", None, Some("one\ntwo")),
        ];
        for size in 1..=text.len() {
            assert_eq!(parse(text, size), expected, "in pieces of {size}");
        }
    }
}
