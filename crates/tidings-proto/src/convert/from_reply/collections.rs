//! Lists, sets and maps.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    hash::{BuildHasher, Hash},
};

use super::{FromReply, mismatch};
use crate::{
    error::{DecodeError, Error},
    resp::{Elements, Reply},
};

/// The elements of a reply that is a list of any kind; `None` for nil.
pub(super) fn elements(reply: Reply<'_>) -> Result<Option<Elements<'_>>, Error> {
    match reply {
        Reply::Null => Ok(None),
        Reply::Array(elements)
        | Reply::Set(elements)
        | Reply::Map(elements)
        | Reply::Push(elements) => Ok(Some(elements)),
        reply => Err(mismatch("a list", &reply)),
    }
}

/// Adds items up to the first error. `capacity` is how many there are likely to be.
pub(super) fn extend<T, C: Extend<T>>(
    list: &mut C,
    capacity: usize,
    items: impl Iterator<Item = Result<T, Error>>,
) -> Result<(), Error> {
    let mut error = None;
    list.extend(UntilError {
        items,
        capacity,
        error: &mut error,
    });
    error.map_or(Ok(()), Err)
}

struct UntilError<'e, I> {
    items: I,
    /// A hint for whoever collects: no more than what the bytes at hand can hold.
    capacity: usize,
    error: &'e mut Option<Error>,
}

impl<T, I: Iterator<Item = Result<T, Error>>> Iterator for UntilError<'_, I> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        match self.items.next()? {
            Ok(item) => Some(item),
            Err(error) => {
                *self.error = Some(error);
                None
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.capacity, None)
    }
}

impl<T: FromReply> FromReply for Vec<T> {
    #[inline]
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        let mut list = Self::new();
        T::extend_from_reply(&mut list, reply)?;
        Ok(list)
    }
}

impl<T: FromReply> FromReply for VecDeque<T> {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        Vec::from_reply(reply).map(Self::from)
    }
}

impl<T: FromReply> FromReply for Box<[T]> {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        Vec::from_reply(reply).map(Self::from)
    }
}

impl<T: FromReply, const N: usize> FromReply for [T; N] {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        let list = Vec::from_reply(reply.clone())?;
        Self::try_from(list)
            .map_err(|_| DecodeError::new(format!("a list of {N} elements"), &reply).into())
    }
}

impl<T: FromReply + Eq + Hash, S: BuildHasher + Default> FromReply for HashSet<T, S> {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        let mut set = Self::default();
        T::extend_from_reply(&mut set, reply)?;
        Ok(set)
    }
}

impl<T: FromReply + Ord> FromReply for BTreeSet<T> {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        let mut set = Self::new();
        T::extend_from_reply(&mut set, reply)?;
        Ok(set)
    }
}

impl<K, V, S> FromReply for HashMap<K, V, S>
where
    K: FromReply + Eq + Hash,
    V: FromReply,
    S: BuildHasher + Default,
{
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        let mut map = Self::default();
        <(K, V)>::extend_from_reply(&mut map, reply)?;
        Ok(map)
    }
}

impl<K: FromReply + Ord, V: FromReply> FromReply for BTreeMap<K, V> {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        let mut map = Self::new();
        <(K, V)>::extend_from_reply(&mut map, reply)?;
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{decode, decode_error};
    use super::*;

    #[test]
    fn lists_of_all_kinds_become_collections() {
        for wire in [
            "*2\r\n:1\r\n:2\r\n",
            "~2\r\n:1\r\n:2\r\n",
            "%1\r\n:1\r\n:2\r\n",
        ] {
            assert_eq!(decode(wire), Ok(vec![1, 2]));
            assert_eq!(decode(wire), Ok(VecDeque::from([1, 2])));
            assert_eq!(decode(wire), Ok(Box::<[i64]>::from([1, 2])));
            assert_eq!(decode(wire), Ok([1_u16, 2]));
            assert_eq!(decode(wire), Ok(HashSet::from([1, 2])));
            assert_eq!(decode(wire), Ok(BTreeSet::from([1, 2])));
        }
    }

    #[test]
    fn nil_is_an_empty_collection() {
        for wire in ["*-1\r\n", "_\r\n"] {
            assert_eq!(decode::<Vec<i64>>(wire), Ok(vec![]));
            assert_eq!(decode::<HashMap<String, i64>>(wire), Ok(HashMap::new()));
        }
    }

    #[test]
    fn a_single_value_is_no_list() {
        assert_eq!(
            decode_error::<Vec<i64>>(":1\r\n"),
            "expected a list, got integer 1"
        );
        assert_eq!(
            decode_error::<Vec<String>>("$1\r\na\r\n"),
            "expected a list, got bulk string \"a\""
        );
    }

    #[test]
    fn an_array_has_its_length() {
        assert_eq!(
            decode_error::<[i64; 3]>("*2\r\n:1\r\n:2\r\n"),
            "expected a list of 3 elements, got array of 2"
        );
        assert_eq!(decode::<[u8; 2]>("$2\r\n\x00\x01\r\n"), Ok([0, 1]));
    }

    #[test]
    fn maps_come_flat_in_pairs_and_as_maps() {
        let expected = [("a".to_owned(), 1), ("b".to_owned(), 2)];
        for wire in [
            "*4\r\n+a\r\n:1\r\n+b\r\n:2\r\n",
            "*2\r\n*2\r\n+a\r\n:1\r\n*2\r\n+b\r\n:2\r\n",
            "%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n",
        ] {
            assert_eq!(decode(wire), Ok(HashMap::from(expected.clone())));
            assert_eq!(decode(wire), Ok(BTreeMap::from(expected.clone())));
            assert_eq!(decode(wire), Ok(expected.to_vec()));
        }
    }

    #[test]
    fn an_announced_length_reserves_nothing() {
        let reply = Reply::parse(b"*4000000000\r\n:1\r\n").unwrap();
        let mut list = Vec::<[u64; 8]>::new();
        assert!(<[u64; 8]>::extend_from_reply(&mut list, reply.clone()).is_err());
        assert!(list.capacity() < 8);
        assert!(Vec::<i64>::from_reply(reply).is_err());
    }

    #[test]
    fn attributes_and_nested_pushes_are_no_elements() {
        let wire = "*2\r\n|1\r\n+ttl\r\n:3\r\n:1\r\n>2\r\n+invalidate\r\n*1\r\n+k\r\n:2\r\n";
        assert_eq!(decode(wire), Ok(vec![1, 2]));
    }
}
