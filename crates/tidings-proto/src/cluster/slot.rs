//! Which of the 16384 slots of a cluster a key lies in.

use std::fmt;

use memchr::memchr;

use crate::command::{Command, CommandRef};

/// One of the slots that the keys of a cluster are spread over: 0 to 16383.
///
/// ```
/// use tidings_proto::cluster::Slot;
///
/// assert_eq!(Slot::of_key(b"foo").number(), 12182);
/// // Only what stands between the braces counts.
/// assert_eq!(Slot::of_key(b"{foo}:1"), Slot::of_key(b"foo"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

impl Slot {
    /// How many slots there are.
    pub const COUNT: u16 = 16384;

    /// The slot of this number; `None` if there is none.
    #[inline]
    pub const fn new(number: u16) -> Option<Self> {
        if number < Self::COUNT {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The slot of a key or a shard channel: CRC16 of what stands between its first `{` and the next `}`, or of all
    /// of it where nothing stands there.
    #[inline]
    pub fn of_key(key: &[u8]) -> Self {
        // The number of slots is a power of two, so this is the remainder.
        Self(crc16(hashed_part(key)) & (Self::COUNT - 1))
    }

    /// Its number.
    #[inline]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// All of them, from 0 on.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({})", self.0)
    }
}

/// In which slots the keys of a command lie. See [`CommandRef::slot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "there is nothing else that it could be"
)]
pub enum CommandSlot {
    /// It has no keys.
    Keyless,
    /// All of its keys lie in this one.
    One(Slot),
    /// Its keys lie in several: no server runs it as it is.
    Several,
    /// This crate does not know the command, and so not where its keys are.
    Unknown,
}

impl CommandRef<'_> {
    /// In which slots of a cluster its [keys](Self::keys) lie.
    ///
    /// ```
    /// use tidings_proto::cluster::{CommandSlot, Slot};
    /// use tidings_proto::cmd;
    ///
    /// let slot = |command: tidings_proto::Command| command.slot();
    /// assert_eq!(slot(cmd("GET").arg("a")), CommandSlot::One(Slot::of_key(b"a")));
    /// assert_eq!(slot(cmd("MGET").arg(["a", "b"])), CommandSlot::Several);
    /// assert_eq!(slot(cmd("PING")), CommandSlot::Keyless);
    /// assert_eq!(slot(cmd("JSON.GET").arg("a")), CommandSlot::Unknown);
    /// ```
    pub fn slot(self) -> CommandSlot {
        let mut slots = self.keys().map(Slot::of_key);
        match slots.next() {
            Some(first) if slots.all(|slot| slot == first) => CommandSlot::One(first),
            Some(_) => CommandSlot::Several,
            None if self.is_known() => CommandSlot::Keyless,
            None => CommandSlot::Unknown,
        }
    }
}

impl Command {
    /// In which slots of a cluster its keys lie. See [`CommandRef::slot`].
    pub fn slot(&self) -> CommandSlot {
        self.view().slot()
    }
}

/// What counts of a key. Braces with nothing between them do not, and no later pair is looked for.
#[inline]
fn hashed_part(key: &[u8]) -> &[u8] {
    let tag = || {
        let (_, after) = key.split_at_checked(memchr(b'{', key)?.checked_add(1)?)?;
        let (tag, _) = after.split_at_checked(memchr(b'}', after)?)?;
        (!tag.is_empty()).then_some(tag)
    };
    tag().unwrap_or(key)
}

/// CRC-16/XMODEM, as the cluster's specification says.
#[inline]
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        let [high, _] = crc.to_be_bytes();
        let step = CRC_OF_BYTE.get(usize::from(high ^ byte));
        crc << 8 ^ step.copied().unwrap_or_default()
    })
}

/// The checksum of each single byte.
static CRC_OF_BYTE: [u16; 256] = table();

const POLYNOMIAL: u16 = 0x1021;

const fn table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut rest: &mut [u16] = &mut table;
    let mut byte = 0;
    while let [place, tail @ ..] = rest {
        let mut crc = byte << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = crc << 1 ^ if crc & 0x8000 == 0 { 0 } else { POLYNOMIAL };
            bit += 1;
        }
        *place = crc;
        rest = tail;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cmd;

    #[test]
    fn the_checksum_is_the_one_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(crc16(b""), 0);
    }

    /// As `CLUSTER KEYSLOT` of a server answers; `tidings/tests/cluster_replies.rs` asks for many more.
    #[test]
    fn keys_lie_where_the_servers_have_them() {
        for (key, slot) in [
            ("", 0),
            ("foo", 12182),
            ("bar", 5061),
            ("hello", 866),
            ("{foo}bar", 12182),
            ("bar{foo}{bar}", 12182),
        ] {
            assert_eq!(Slot::of_key(key.as_bytes()).number(), slot, "{key}");
        }
    }

    #[test]
    fn braces_count_only_around_something() {
        for whole in ["{}", "{}foo", "foo{}{bar}", "{foo", "foo}", "}{", "{"] {
            assert_eq!(hashed_part(whole.as_bytes()), whole.as_bytes());
        }
        assert_eq!(hashed_part(b"a{{b}}c"), b"{b");
        assert_eq!(hashed_part(b"}{b}"), b"b");
    }

    #[test]
    fn a_number_beyond_the_last_is_no_slot() {
        assert_eq!(Slot::new(16383).map(Slot::number), Some(16383));
        assert_eq!(Slot::new(16384), None);
        assert_eq!(Slot::all().count(), 16384);
    }

    #[test]
    fn a_command_is_in_the_slot_of_its_keys() {
        let one = |key: &[u8]| CommandSlot::One(Slot::of_key(key));
        let slot = |line: &str| {
            let mut words = line.split(' ');
            cmd(words.next().unwrap()).arg(words).slot()
        };
        assert_eq!(slot("SET a b"), one(b"a"));
        assert_eq!(slot("MSET {a}1 x {a}2 y"), one(b"a"));
        assert_eq!(slot("SPUBLISH news text"), one(b"news"));
        assert_eq!(slot("RENAME a b"), CommandSlot::Several);
        assert_eq!(slot("EVAL script 0 a"), CommandSlot::Keyless);
        assert_eq!(slot("PUBLISH news text"), CommandSlot::Keyless);
        assert_eq!(slot("FT.SEARCH index q"), CommandSlot::Unknown);
    }

    proptest! {
        #[test]
        fn every_key_has_a_slot_and_every_tag_the_slot_of_its_key(
            key in prop::collection::vec(any::<u8>(), 0..40),
            before in "[^{]{0,5}", after in ".{0,5}",
        ) {
            prop_assert!(Slot::of_key(&key).number() < Slot::COUNT);
            prop_assume!(!key.is_empty() && !key.contains(&b'}') && !key.contains(&b'{'));
            let tagged = [before.as_bytes(), b"{", &key, b"}", after.as_bytes()].concat();
            prop_assert_eq!(Slot::of_key(&tagged), Slot::of_key(&key));
        }
    }
}
