//! What holds for any bytes at all.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "to panic is how these functions report"
)]

use super::{Decoder, Elements, Reply, Value};
use crate::{convert::FromReply, error::Error, limits::Limits};

/// How a stream ended: the frames before, and if what follows was refused.
#[derive(Debug, PartialEq, Eq)]
struct Cut {
    frames: Vec<usize>,
    refused: bool,
}

/// Decodes `data` whole and in pieces, with wide limits and narrow ones, and reads each frame.
///
/// # Panics
///
/// If the pieces give other frames than the whole, or the view disagrees with the decoder.
pub fn decode(data: &[u8]) {
    let narrow = Limits {
        depth: 3,
        bulk: 40,
        line: 20,
        elements: 10,
        frame: 200,
    };
    for limits in [Limits::default(), narrow] {
        let whole = cut(data, limits, |_| usize::MAX);
        assert_eq!(cut(data, limits, |_| 1), whole, "byte by byte");
        // Sizes that depend on the data, so that the fuzzer can choose them.
        let uneven = cut(data, limits, |at| usize::from(data[at] % 16) + 1);
        assert_eq!(uneven, whole, "in uneven pieces");
    }
}

/// Feeds `data` in pieces of the size that `piece` gives at an offset.
fn cut(data: &[u8], limits: Limits, piece: impl Fn(usize) -> usize) -> Cut {
    let mut decoder = Decoder::new(limits);
    let mut frames = Vec::new();
    let (mut begin, mut arrived) = (0, 0);
    loop {
        match decoder.poll_frame(&data[begin..arrived]) {
            Ok(Some(length)) => {
                assert!(!decoder.is_mid_frame());
                assert!((3..=arrived - begin).contains(&length));
                check_frame(&data[begin..], length, &mut decoder);
                begin += length;
                frames.push(begin);
            }
            Ok(None) => {
                assert_eq!(decoder.is_mid_frame(), begin < arrived);
                if arrived == data.len() {
                    return Cut {
                        frames,
                        refused: false,
                    };
                }
                arrived = arrived.saturating_add(piece(arrived)).min(data.len());
            }
            Err(_) => {
                return Cut {
                    frames,
                    refused: true,
                };
            }
        }
    }
}

fn check_frame(input: &[u8], length: usize, decoder: &mut Decoder) {
    let frame = &input[..length];
    // A view also refuses what does not matter for a frame's end: a double that is no number.
    if let Ok(split) = Reply::split(input) {
        let (_, rest) = split.expect("the decoder saw a whole frame");
        assert_eq!(
            input.len() - rest.len(),
            length,
            "the view and the decoder agree on the end"
        );
    }
    if let Ok(reply) = Reply::parse(frame) {
        // Debug goes through the whole frame.
        let _ = (format!("{reply:?}"), reply.to_string());
        if let Some(elements) = reply.clone().into_elements() {
            check_elements(elements);
        }
        assert!(!matches!(Value::from_reply(reply), Err(Error::Decode(_))));
    }
    for push in decoder.take_nested_pushes() {
        let Ok(Reply::Push(elements)) = Reply::parse(&frame[push]) else {
            panic!("a nested push is a push")
        };
        check_elements(elements);
    }
}

/// There are as many elements as announced, unless one is refused, which is the last then.
fn check_elements(elements: Elements<'_>) {
    let announced = elements.len();
    let mut found = 0;
    for element in elements {
        match element {
            Ok(reply) => assert!(!matches!(reply, Reply::Push(_)), "a push is no element"),
            Err(_) => return,
        }
        found += 1;
    }
    assert_eq!(found, announced);
}
