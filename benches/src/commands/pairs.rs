//! The keys and values of the pipelines.

use crate::Result;

/// A key and its value.
pub(super) type Pair = (String, String);

/// Keys that a run goes round and round through.
const KEYS: usize = 10_000;

/// Key `index`, and a value of 16 bytes that no other key has. Programs in other languages make the same.
fn pair(index: usize) -> Pair {
    (format!("key:{index:06}"), format!("value:{index:010}"))
}

pub(super) const VALUE_LEN: usize = 16;

/// What SET answers.
pub(super) const OK: &str = "OK";

/// All pairs, in windows of what one pipeline sets and gets.
pub(super) struct Pairs {
    all: Vec<Pair>,
    window: usize,
}

impl Pairs {
    pub(super) fn new(window: usize) -> Self {
        Self {
            all: (0..KEYS.next_multiple_of(window)).map(pair).collect(),
            window,
        }
    }

    /// What each pipeline in turn is made of, without end.
    pub(super) fn windows(&self) -> impl Iterator<Item = &[Pair]> {
        self.all.chunks_exact(self.window).cycle()
    }

    pub(super) fn window_count(&self) -> usize {
        self.all.len() / self.window
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Pair] {
        &self.all
    }
}

/// Checks the replies to SET and GET of each of `pairs`: their number, their lengths, and one value, another
/// one each `time`. Gives the bytes of the values.
pub(super) fn check(pairs: &[Pair], replies: &[Option<String>], time: u64) -> Result<u64> {
    if replies.len() != 2 * pairs.len() {
        return Err(format!("{} replies to {} pairs", replies.len(), pairs.len()).into());
    }
    let lengths = replies.iter().flatten().map(String::len);
    if lengths.sum::<usize>() != pairs.len() * (OK.len() + VALUE_LEN) {
        return Err("replies of another length than were expected".into());
    }
    let sample = usize::try_from(time)? % pairs.len();
    let expected = [OK, &pairs[sample].1];
    let got = &replies[2 * sample..2 * sample + 2];
    if got.iter().map(Option::as_deref).ne(expected.map(Some)) {
        return Err(format!("{got:?} in the place of {expected:?}").into());
    }
    Ok((pairs.len() * VALUE_LEN) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(pairs: &[Pair]) -> Vec<Option<String>> {
        let replies = pairs
            .iter()
            .flat_map(|(_, value)| [OK.to_owned(), value.clone()]);
        replies.map(Some).collect()
    }

    #[test]
    fn right_replies_pass_and_wrong_ones_do_not() {
        let pairs = Pairs::new(5);
        assert_eq!(pairs.window_count(), KEYS / 5);
        let window = pairs.windows().nth(1).unwrap();
        let right = replies(window);
        assert_eq!(check(window, &right, 7).unwrap(), 5 * 16);
        assert!(check(window, &right[1..], 7).is_err());

        let mut nil = right.clone();
        nil[9] = None;
        assert!(check(window, &nil, 7).is_err());

        let mut swapped = right;
        swapped.swap(5, 7);
        assert!(check(window, &swapped, 7).is_err());
        assert!(check(window, &swapped, 5).is_ok(), "only one is looked at");
    }
}
