//! What a peer may send before its connection is given up.

/// How deep replies may nest. The deepest reply of a real server (`COMMAND DOCS`) nests 9 deep;
/// a reply is decoded by one function call a level, so this also bounds the stack.
const DEFAULT_DEPTH: usize = 64;

/// `Limits::depth` is lowered to this: what a thread with a small stack still decodes.
pub(crate) const MAX_DEPTH: usize = 128;

/// The servers' `proto-max-bulk-len`: no value, channel name or payload is larger unless it was raised.
const DEFAULT_BULK: usize = 512 * 1024 * 1024;

/// Kept free below 4 GiB, for the headers around the largest bulk string.
const OFFSET_SLACK: u32 = 64 * 1024;

/// `bulk`, `line` and `frame` are lowered to this: offsets within a frame are kept as `u32`.
pub(crate) const MAX_BULK: usize = (u32::MAX - OFFSET_SLACK) as usize;

/// No list, set or hash of the servers reports more elements in one reply than this, and each
/// element takes three bytes at least, so that `frame` refuses the frame first.
const DEFAULT_ELEMENTS: u64 = u32::MAX as u64;

/// Limits of what the [`Decoder`](crate::Decoder) accepts from a server.
///
/// A frame beyond them is a [`ProtocolError`](crate::ProtocolError): the connection cannot go on.
/// The defaults accept everything that a server with default settings can send.
///
/// ```
/// use tidings_proto::Limits;
///
/// let mut limits = Limits::default();
/// limits.bulk = 1024 * 1024; // no value above 1 MiB
/// # let _ = tidings_proto::Decoder::new(limits);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Aggregates (arrays, maps, …) within each other; at most 128.
    pub depth: usize,
    /// Bytes in one bulk string; at most 4 GiB less 64 KiB.
    pub bulk: usize,
    /// Bytes in one line: a simple string, an error, a big number. As large as a bulk string by
    /// default, because MONITOR shows whole values in simple strings.
    pub line: usize,
    /// Elements announced by one aggregate; a map of `n` pairs has `2n`.
    pub elements: u64,
    /// Bytes in one frame, headers and all; at most 4 GiB less 64 KiB.
    pub frame: usize,
}

impl Limits {
    /// The widest limits there are, for bytes that a decoder has already let through.
    pub(crate) const WIDEST: Self = Self {
        depth: MAX_DEPTH,
        bulk: MAX_BULK,
        line: MAX_BULK,
        elements: u64::MAX,
        frame: MAX_BULK,
    };

    /// These limits, none above what the decoder can represent.
    pub(crate) fn clamped(self) -> Self {
        Self {
            depth: self.depth.min(MAX_DEPTH),
            bulk: self.bulk.min(MAX_BULK),
            line: self.line.min(MAX_BULK),
            elements: self.elements,
            frame: self.frame.min(MAX_BULK),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: DEFAULT_DEPTH,
            bulk: DEFAULT_BULK,
            line: DEFAULT_BULK,
            elements: DEFAULT_ELEMENTS,
            frame: MAX_BULK,
        }
    }
}
