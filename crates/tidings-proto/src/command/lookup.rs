//! Names to rows: a hash table that is made at compile time.

use super::table::{ROWS, Row};

/// Four for each row: nearly every name is found at the first look.
const SLOTS: usize = 1024;

/// No row has this number.
const FREE: u16 = u16::MAX;

/// An odd number for which few names fall together.
const MULTIPLIER: u64 = 0xf838_15f5_6217_89c9;

/// The number of the row whose name falls here, or before if it was taken.
static TABLE: [u16; SLOTS] = table();

/// The row of a command, whatever the case of its name.
#[inline]
pub(super) const fn find(name: &[u8]) -> Option<&'static Row> {
    let mut slot = slot_of(name);
    while let Some(&number) = get(&TABLE, slot)
        && let Some(row) = get(ROWS, number as usize)
    {
        if is(name, row.name) {
            return Some(row);
        }
        slot = next(slot);
    }
    None
}

/// Whether a word is this one, which is in capitals.
#[inline]
pub(super) const fn is(mut word: &[u8], capitals: &str) -> bool {
    let mut capitals = capitals.as_bytes();
    if word.len() != capitals.len() {
        return false;
    }
    while let ([a, word_tail @ ..], [b, capitals_tail @ ..]) = (word, capitals) {
        if a.to_ascii_uppercase() != *b {
            return false;
        }
        (word, capitals) = (word_tail, capitals_tail);
    }
    true
}

/// Six bytes tell nearly all names apart: the length, and letters from the first to the last.
#[inline]
const fn slot_of(name: &[u8]) -> usize {
    let length = name.len();
    let letters = letter(name, 0) << 8
        | letter(name, length.saturating_sub(1)) << 16
        | letter(name, length / 2) << 24
        | letter(name, length.saturating_mul(3) / 4) << 32
        | letter(name, length / 4) << 40;
    let hash = (length as u64 & 0xff | letters).wrapping_mul(MULTIPLIER);
    // The high bits are the ones that every letter has a part in.
    (hash >> (u64::BITS - SLOTS.ilog2())) as usize
}

/// A letter as a capital.
#[inline]
const fn letter(name: &[u8], place: usize) -> u64 {
    match get(name, place) {
        Some(byte) => (*byte & !0x20) as u64,
        None => 0,
    }
}

const fn next(slot: usize) -> usize {
    (slot + 1) % SLOTS
}

/// As the method of a slice, which is not `const` yet.
#[inline]
const fn get<T>(slice: &[T], place: usize) -> Option<&T> {
    match slice.split_at_checked(place) {
        Some((_, [element, ..])) => Some(element),
        _ => None,
    }
}

const fn table() -> [u16; SLOTS] {
    let mut table = [FREE; SLOTS];
    let mut number = 0;
    while let Some(row) = get(ROWS, number as usize) {
        let mut slot = slot_of(row.name.as_bytes());
        while let Some(&taken) = get(&table, slot)
            && taken != FREE
        {
            slot = next(slot);
        }
        if let Some((_, [place, ..])) = table.split_at_mut_checked(slot) {
            *place = number;
        }
        number += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_finds_its_row_in_any_case() {
        for row in ROWS {
            let found = |name: &str| find(name.as_bytes()).map(|row| row.name);
            assert_eq!(found(row.name), Some(row.name));
            assert_eq!(found(&row.name.to_lowercase()), Some(row.name));
            assert_eq!(found(&format!("{}?", row.name)), None);
        }
    }

    #[test]
    fn what_is_no_command_finds_nothing() {
        for name in ["", "X", "GEX", "G\u{5}T", "get ", "größe"] {
            assert!(find(name.as_bytes()).is_none(), "{name}");
        }
        assert!(find(&[b'A'; 1000]).is_none());
    }

    #[test]
    fn words_of_every_length_are_compared_to_the_last_byte() {
        for length in 0..40 {
            let word = &"ABCDE_".repeat(7)[..length];
            assert!(is(word.to_lowercase().as_bytes(), word));
            assert!(!is(format!("{word}A").as_bytes(), word));
            for place in 0..length {
                let mut other = word.as_bytes().to_vec();
                other[place] ^= 0x80;
                assert!(!is(&other, word), "{length} {place}");
            }
        }
    }

    #[test]
    fn names_are_in_capitals_in_order_and_once() {
        for pair in ROWS.windows(2) {
            assert!(pair[0].name < pair[1].name, "{}", pair[1].name);
        }
        for row in ROWS {
            assert_eq!(row.name, row.name.to_ascii_uppercase());
        }
    }

    /// The bound of what a lookup costs.
    #[test]
    fn no_name_is_far_from_its_place() {
        let looks = |row: &Row| {
            let mut slot = slot_of(row.name.as_bytes());
            let mut looks = 1;
            while ROWS[TABLE[slot] as usize].name != row.name {
                slot = next(slot);
                looks += 1;
            }
            looks
        };
        let looks: Vec<usize> = ROWS.iter().map(looks).collect();
        assert!(looks.iter().all(|looks| *looks <= 3), "{looks:?}");
        assert!(looks.iter().sum::<usize>() * 10 < looks.len() * 12);
    }
}
