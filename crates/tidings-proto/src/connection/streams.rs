//! Any stream of replies and pushes, cut anywhere, taken by way of `poll_replies` and without it.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::resp::testing::{Asides, PUSH, any_leaf, any_value, elements_within, encode};
use crate::{Value, testing::options};

/// Whose replies were found, and pushes, each with its bytes.
type Found = Vec<(Option<usize>, Vec<u8>)>;

struct Reader {
    connection: Connection<usize>,
    subscriptions: Subscriptions,
    input: Vec<u8>,
    now: Instant,
    found: Found,
    /// What has come of the replies to the oldest request.
    part: Vec<u8>,
}

impl Reader {
    fn new(requests: &[usize], limits: Limits) -> Self {
        let now = Instant::now();
        let options = ConnectionOptions {
            pubsub: false,
            ..options(Protocol::Resp3, limits)
        };
        let mut connection = Connection::new(options, now);
        for (token, replies) in requests.iter().enumerate() {
            connection.request(token, *replies);
        }
        Self {
            connection,
            subscriptions: Subscriptions::new(),
            input: Vec::new(),
            now,
            found: Vec::new(),
            part: Vec::new(),
        }
    }

    fn reads(&mut self, bytes: &[u8], shortcut: bool) -> Result<(), ProtocolError> {
        self.input.extend_from_slice(bytes);
        loop {
            if shortcut {
                let (input, found, part) = (&self.input, &mut self.found, &mut self.part);
                self.connection.poll_replies(input, |range, token| {
                    part.extend_from_slice(&input[range]);
                    found.push((Some(token), std::mem::take(part)));
                });
            }
            let event =
                self.connection
                    .poll_event(&self.input, &mut self.subscriptions, self.now)?;
            match event {
                None => break,
                Some(Event::Replies { range, done }) => {
                    self.part.extend_from_slice(&self.input[range]);
                    if done.is_some() {
                        self.found.push((done, std::mem::take(&mut self.part)));
                    }
                }
                Some(Event::Push(range)) => {
                    self.found.push((None, self.input[range].to_vec()));
                }
                Some(other) => panic!("{other:?}"),
            }
        }
        let consumed = self.connection.take_consumed();
        self.input.drain(..consumed);
        Ok(())
    }
}

/// What is found until the stream ends or is refused, which is told too.
fn read(
    wire: &[u8],
    pieces: &[usize],
    requests: &[usize],
    limits: Limits,
    shortcut: bool,
) -> (Found, Option<String>) {
    let mut reader = Reader::new(requests, limits);
    let (mut at, mut pieces) = (0, pieces.iter().cycle());
    while at < wire.len() {
        let end = wire.len().min(at + pieces.next().unwrap());
        if let Err(error) = reader.reads(&wire[at..end], shortcut) {
            return (reader.found, Some(error.to_string()));
        }
        at = end;
    }
    (reader.found, None)
}

fn narrow() -> Limits {
    Limits {
        depth: 3,
        bulk: 30,
        line: 20,
        elements: 6,
        frame: 24,
    }
}

proptest! {
    #[test]
    fn th_03_replies_are_found_whose_they_are_however_they_are_taken_and_cut(
        stream in vec((prop_oneof![2 => any_leaf(), 1 => any_value()], prop::array::uniform3(prop::bool::weighted(0.2))), 1..12),
        counts in vec(1_usize..3, 1..12),
        pieces in vec(1_usize..40, 1..20),
        narrowed: bool,
        damage in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let (mut wire, mut expected, mut part) = (Vec::new(), Vec::new(), Vec::new());
        let mut left = counts.clone().into_iter().enumerate();
        let mut oldest = left.next();
        for (value, [attributes, pushes, push]) in &stream {
            if *push {
                wire.extend_from_slice(PUSH);
                expected.push((None, PUSH.to_vec()));
            }
            // Pushes within a push are nobody's.
            let pushes = *pushes && !matches!(value, Value::Push(_));
            let frame = encode(value, Asides { attributes: *attributes, pushes });
            wire.extend_from_slice(&frame);
            if matches!(value, Value::Push(_)) {
                expected.push((None, frame));
                continue;
            }
            part.extend_from_slice(&frame);
            let Some((token, replies)) = &mut oldest else { break };
            *replies -= 1;
            if *replies == 0 {
                expected.push((Some(*token), std::mem::take(&mut part)));
                oldest = left.next();
            }
            let nested = if pushes { elements_within(value) } else { 0 };
            expected.extend(std::iter::repeat_n((None, PUSH.to_vec()), nested));
        }
        if let Some((index, byte)) = damage {
            let index = index.index(wire.len());
            wire[index] = byte;
        }
        let limits = if narrowed { narrow() } else { Limits::default() };
        let whole = read(&wire, &[usize::MAX / 2], &counts, limits, false);
        for shortcut in [true, false] {
            for pieces in [&pieces[..], &[1], &[usize::MAX / 2]] {
                let cut = read(&wire, pieces, &counts, limits, shortcut);
                prop_assert_eq!(&cut.0, &whole.0, "{} {:?}", shortcut, pieces);
                prop_assert_eq!(cut.1.is_some(), whole.1.is_some());
            }
        }
        if !narrowed && damage.is_none() && oldest.is_some() {
            prop_assert_eq!(whole, (expected, None));
        }
    }
}
