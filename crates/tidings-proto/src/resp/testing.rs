//! Any reply, and how a server writes it, for tests.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};

use super::Value;
use crate::error::ServerError;

/// What a test server mixes in where it may.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asides {
    /// Attributes before values.
    pub(crate) attributes: bool,
    /// Pushes between the elements of aggregates, as Redis 6 and 7.0 do.
    pub(crate) pushes: bool,
}

const ATTRIBUTE: &[u8] = b"|1\r\n+ttl\r\n*2\r\n:1\r\n$2\r\n\r\n\r\n";
pub(crate) const PUSH: &[u8] = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";

/// Writes a value as RESP3, and RESP2 as far as the value has a form in it.
pub(crate) fn encode(value: &Value, asides: Asides) -> Vec<u8> {
    let mut wire = Vec::new();
    write(value, asides, &mut wire);
    wire
}

fn write(value: &Value, asides: Asides, wire: &mut Vec<u8>) {
    if asides.attributes {
        wire.extend_from_slice(ATTRIBUTE);
    }
    match value {
        Value::Null => wire.extend_from_slice(b"_\r\n"),
        Value::Simple(text) => line(b'+', text, wire),
        Value::Bytes(text) => bulk(b'$', text, wire),
        Value::Integer(number) => line(b':', number.to_string().as_bytes(), wire),
        Value::Double(number) => line(b',', number.to_string().as_bytes(), wire),
        Value::Boolean(truth) => line(b'#', if *truth { b"t" } else { b"f" }, wire),
        Value::BigNumber(digits) => line(b'(', digits, wire),
        Value::Verbatim { format, text } => bulk(b'=', &[format, &b":"[..], text].concat(), wire),
        Value::Error(error) if error.message().contains('\n') => {
            bulk(b'!', error.message().as_bytes(), wire);
        }
        Value::Error(error) => line(b'-', error.message().as_bytes(), wire),
        Value::Array(elements) => list(b'*', elements, asides, wire),
        Value::Set(elements) => list(b'~', elements, asides, wire),
        Value::Push(elements) => list(b'>', elements, asides, wire),
        Value::Map(pairs) => {
            line(b'%', pairs.len().to_string().as_bytes(), wire);
            for element in pairs.iter().flat_map(|(key, value)| [key, value]) {
                aside(asides, wire);
                write(element, asides, wire);
            }
        }
    }
}

fn list(kind: u8, elements: &[Value], asides: Asides, wire: &mut Vec<u8>) {
    line(kind, elements.len().to_string().as_bytes(), wire);
    for element in elements {
        aside(asides, wire);
        write(element, asides, wire);
    }
}

fn aside(asides: Asides, wire: &mut Vec<u8>) {
    if asides.pushes {
        wire.extend_from_slice(PUSH);
    }
}

fn line(kind: u8, content: &[u8], wire: &mut Vec<u8>) {
    wire.push(kind);
    wire.extend_from_slice(content);
    wire.extend_from_slice(b"\r\n");
}

fn bulk(kind: u8, content: &[u8], wire: &mut Vec<u8>) {
    line(kind, content.len().to_string().as_bytes(), wire);
    wire.extend_from_slice(content);
    wire.extend_from_slice(b"\r\n");
}

/// How many values stand within aggregates: before each, a server with `Asides::pushes` put one.
pub(crate) fn elements_within(value: &Value) -> usize {
    match value {
        Value::Array(elements) | Value::Set(elements) | Value::Push(elements) => elements
            .iter()
            .map(|element| 1 + elements_within(element))
            .sum(),
        Value::Map(pairs) => pairs
            .iter()
            .map(|(key, value)| 2 + elements_within(key) + elements_within(value))
            .sum(),
        _ => 0,
    }
}

/// Any reply that holds no other.
pub(crate) fn any_leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any_line().prop_map(Value::Simple),
        any_bytes().prop_map(Value::Bytes),
        any::<i64>().prop_map(Value::Integer),
        any::<f64>()
            .prop_filter("compares", |number| !number.is_nan())
            .prop_map(Value::Double),
        any::<bool>().prop_map(Value::Boolean),
        "-?[0-9]{1,40}".prop_map(|digits| Value::BigNumber(digits.into())),
        ("[a-z]{3}", any_bytes()).prop_map(|(format, text)| Value::Verbatim {
            format: format.into(),
            text
        }),
        "[A-Z]{3,9} [a-z \r\n]{0,30}".prop_map(|text| {
            // A lone CR cannot end a line, and the line may not contain CRLF: those go bulk.
            Value::Error(ServerError::new(text.as_bytes()))
        }),
    ]
}

/// Any reply, or a push at top level.
pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let tree = any_leaf().prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::Array),
            vec(inner.clone(), 0..8).prop_map(Value::Set),
            vec((inner.clone(), inner), 0..5).prop_map(Value::Map),
        ]
    });
    prop_oneof![
        9 => tree.clone(),
        1 => vec(tree, 1..5).prop_map(Value::Push),
    ]
}

fn any_bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        9 => vec(any::<u8>(), 0..40),
        1 => vec(any::<u8>(), 1000..3000),
        2 => Just(b"\r\n".to_vec()),
    ]
    .prop_map(Bytes::from)
}

/// Text without a line end. It may hold, but not end with, a lone CR.
fn any_line() -> impl Strategy<Value = Bytes> {
    "([a-zA-Z0-9 \"\\\\é]|\n|\r[a-z])*".prop_map(Bytes::from)
}
