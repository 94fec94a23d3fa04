//! Bytes that are stored inline when there are few of them.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};

use bytes::Bytes;

/// Up to this many bytes are stored inline: the names of most channels are shorter.
const INLINE: usize = 32;

/// Aligned, so that copies of it are made of whole words.
#[derive(Clone, Copy)]
#[repr(align(8))]
struct Inline([u8; INLINE]);

/// A channel name, a pattern or another short byte string.
///
/// Up to 32 bytes live in the value itself, so that making, cloning and dropping one touches neither the
/// allocator nor a shared counter; longer ones are a reference-counted slice. Compares, orders and hashes as
/// the bytes it holds.
#[derive(Clone)]
pub struct Blob(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u32, buf: Inline },
    Shared(Bytes),
}

impl Blob {
    /// Up to this many bytes are stored in the value itself.
    pub const INLINE: usize = INLINE;

    /// Copies `bytes`.
    pub fn copy_from(bytes: &[u8]) -> Self {
        Self::inline(bytes).unwrap_or_else(|| Self(Repr::Shared(Bytes::copy_from_slice(bytes))))
    }

    /// The bytes of `block` in `range`: copied if they are few, a slice that keeps `block` alive otherwise.
    ///
    /// A range outside of `block` gives an empty blob.
    #[inline]
    pub fn slice(block: &Bytes, range: Range<usize>) -> Self {
        let len = range.len();
        // A copy of constant length is a few moves; what it brings along behind the name is never looked at.
        if len <= INLINE
            && let Some(chunk) = block.get(range.start..).and_then(<[u8]>::first_chunk)
        {
            return Self(Repr::Inline {
                len: len as u32,
                buf: Inline(*chunk),
            });
        }
        let Some(bytes) = block.get(range) else {
            return Self::default();
        };
        Self::inline(bytes).unwrap_or_else(|| Self(Repr::Shared(block.slice_ref(bytes))))
    }

    fn inline(bytes: &[u8]) -> Option<Self> {
        let mut buf = [0; INLINE];
        buf.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self(Repr::Inline {
            len: bytes.len() as u32,
            buf: Inline(buf),
        }))
    }

    /// A blob that keeps nothing alive but its own bytes.
    pub fn detached(&self) -> Self {
        match &self.0 {
            Repr::Inline { .. } => self.clone(),
            Repr::Shared(bytes) => Self(Repr::Shared(Bytes::copy_from_slice(bytes))),
        }
    }

    /// The reference-counted slice, if it is one.
    pub fn shared(&self) -> Option<&Bytes> {
        match &self.0 {
            Repr::Inline { .. } => None,
            Repr::Shared(bytes) => Some(bytes),
        }
    }

    /// The bytes, as a reference-counted slice.
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Repr::Inline { .. } => Bytes::copy_from_slice(self),
            Repr::Shared(bytes) => bytes.clone(),
        }
    }
}

impl Default for Blob {
    fn default() -> Self {
        Self(Repr::Inline {
            len: 0,
            buf: Inline([0; INLINE]),
        })
    }
}

impl Deref for Blob {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, buf } => buf.0.get(..*len as usize).unwrap_or_default(),
            Repr::Shared(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Borrow<[u8]> for Blob {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl From<Bytes> for Blob {
    fn from(bytes: Bytes) -> Self {
        Self::inline(&bytes).unwrap_or(Self(Repr::Shared(bytes)))
    }
}

impl From<&[u8]> for Blob {
    fn from(bytes: &[u8]) -> Self {
        Self::copy_from(bytes)
    }
}

impl From<&str> for Blob {
    fn from(text: &str) -> Self {
        Self::copy_from(text.as_bytes())
    }
}

impl PartialEq for Blob {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Blob {}

impl PartialEq<[u8]> for Blob {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Blob {
    fn eq(&self, other: &&str) -> bool {
        **self == *other.as_bytes()
    }
}

impl PartialOrd for Blob {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Blob {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (**self).cmp(&**other)
    }
}

impl Hash for Blob {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{self}\"")
    }
}

/// Printable ASCII and UTF-8 text as it is, other bytes escaped.
impl fmt::Display for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() {
                    write!(f, "{}", c.escape_default())?;
                } else {
                    write!(f, "{c}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_bytes_are_inline_and_long_ones_share_the_block() {
        let block = Bytes::from(vec![b'x'; 100]);
        let short = Blob::slice(&block, 0..INLINE);
        let long = Blob::slice(&block, 1..INLINE + 2);
        assert!(matches!(short.0, Repr::Inline { .. }));
        assert_eq!(long.as_ptr(), block[1..].as_ptr());
        assert_ne!(long.detached().as_ptr(), long.as_ptr());
        assert_eq!(long.detached(), long);
    }

    #[test]
    fn equal_bytes_are_equal_and_hash_alike_however_they_are_stored() {
        let inline = Blob::copy_from(b"news");
        let shared = Blob(Repr::Shared(Bytes::from_static(b"news")));
        assert_eq!(inline, shared);
        let set = std::collections::HashSet::from([inline]);
        assert!(set.contains(&b"news"[..]));
        assert!(set.contains(&shared));
    }

    #[test]
    fn a_range_outside_of_the_block_is_empty_not_a_panic() {
        assert_eq!(&*Blob::slice(&Bytes::from_static(b"ab"), 1..5), b"");
    }

    #[test]
    fn binary_names_are_printed_escaped() {
        assert_eq!(
            Blob::copy_from(b"caf\xc3\xa9\xff\n").to_string(),
            "caf\u{e9}\\xff\\n"
        );
    }
}
