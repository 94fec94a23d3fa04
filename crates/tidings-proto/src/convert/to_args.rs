//! What can be an argument of a command.

use std::{
    borrow::Cow,
    fmt::{Display, LowerExp},
    io::Write as _,
    rc::Rc,
    sync::Arc,
};

use bytes::{Bytes, BytesMut};

use crate::resp::encode::bulk;

/// Below and above these magnitudes a float is written with an exponent: without one, the shortest
/// text that gives the same number back would be up to 330 characters long.
const PLAIN_FLOATS: std::ops::Range<f64> = 1e-5..1e17;

/// The longest float, `-2.2250738585072014e-308`, has 24 characters.
const FLOAT_CHARS: usize = 32;

/// A value that is exactly one argument: text, bytes or a number.
///
/// Implement it for types of your own by writing one argument.
///
/// ```
/// use tidings_proto::{ArgWriter, ToArg, cmd};
///
/// struct UserKey(u64);
///
/// impl ToArg for UserKey {
///     fn write_to(&self, writer: &mut ArgWriter<'_>) {
///         writer.text(&format!("user:{}", self.0));
///     }
/// }
///
/// assert_eq!(cmd("GET").arg(UserKey(7)).to_string(), "GET user:7");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not one argument of a command",
    label = "not text, bytes or a number",
    note = "arguments are `&str`, `String`, `&[u8]`, `Vec<u8>`, `Bytes`, integers (`u8` only within byte strings) and floats",
    note = "the servers know no booleans: write `1` and `0`, or `\"true\"` and `\"false\"`"
)]
pub trait ToArg {
    /// Writes this value as one argument.
    fn write_to(&self, writer: &mut ArgWriter<'_>);
}

/// Values that are one argument or several: any [`ToArg`]; arrays, slices, vectors, options and
/// iterators of them; maps and other sequences of pairs.
///
/// `Shape` is [`One`], [`Many`], [`Pairs`] or [`PairRefs`]. It is always inferred; functions that pass
/// arguments on take it as a type parameter.
///
/// ```
/// use tidings_proto::{Command, ToArgs, cmd};
///
/// fn del<Shape>(keys: impl ToArgs<Shape>) -> Command {
///     cmd("DEL").arg(keys)
/// }
///
/// assert_eq!(del("a"), del(["a"]));
/// assert_eq!(del((1..4).map(|n| format!("key:{n}"))).to_string(), "DEL key:1 key:2 key:3");
/// assert_eq!(cmd("MSET").arg([("a", 1), ("b", 2)]).to_string(), "MSET a 1 b 2");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be arguments of a command",
    label = "neither one argument nor a sequence of arguments",
    note = "one argument is `&str`, `String`, `&[u8]`, `Vec<u8>`, `Bytes`, an integer or a float",
    note = "several are an array, slice, `Vec`, `Option`, iterator or map of these",
    note = "the servers know no booleans: write `1` and `0`, or `\"true\"` and `\"false\"`"
)]
pub trait ToArgs<Shape> {
    /// Writes all arguments, in order.
    fn write_all(self, writer: &mut ArgWriter<'_>);

    /// All arguments, each on its own.
    fn collect_args(self) -> Vec<Bytes>
    where
        Self: Sized,
    {
        let mut list = Vec::new();
        self.write_all(&mut ArgWriter::list(&mut list));
        list
    }
}

/// The shape of what is one argument. See [`ToArgs`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct One;

/// The shape of a sequence of arguments. See [`ToArgs`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Many;

/// The shape of a sequence of pairs of arguments. See [`ToArgs`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Pairs;

/// The shape of a sequence of references to pairs of arguments. See [`ToArgs`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PairRefs;

impl<T: ToArg> ToArgs<One> for T {
    #[inline]
    fn write_all(self, writer: &mut ArgWriter<'_>) {
        self.write_to(writer);
    }
}

impl<I> ToArgs<Many> for I
where
    I: IntoIterator,
    I::Item: ToArg,
{
    #[inline]
    fn write_all(self, writer: &mut ArgWriter<'_>) {
        for argument in self {
            argument.write_to(writer);
        }
    }
}

impl<I, K, V> ToArgs<Pairs> for I
where
    I: IntoIterator<Item = (K, V)>,
    K: ToArg,
    V: ToArg,
{
    #[inline]
    fn write_all(self, writer: &mut ArgWriter<'_>) {
        for (key, value) in self {
            key.write_to(writer);
            value.write_to(writer);
        }
    }
}

impl<'a, I, K, V> ToArgs<PairRefs> for I
where
    I: IntoIterator<Item = &'a (K, V)>,
    K: ToArg + 'a,
    V: ToArg + 'a,
{
    #[inline]
    fn write_all(self, writer: &mut ArgWriter<'_>) {
        for (key, value) in self {
            key.write_to(writer);
            value.write_to(writer);
        }
    }
}

/// Takes arguments, one a call.
///
/// Text and bytes are told apart, since text may be sent in another encoding than UTF-8.
#[derive(Debug)]
pub struct ArgWriter<'w> {
    sink: Sink<'w>,
    written: usize,
}

#[derive(Debug)]
enum Sink<'w> {
    /// A command that is being encoded.
    Wire(&'w mut Vec<u8>),
    List(&'w mut Vec<Bytes>),
}

impl<'w> ArgWriter<'w> {
    #[inline]
    pub(crate) fn wire(buffer: &'w mut Vec<u8>) -> Self {
        Self {
            sink: Sink::Wire(buffer),
            written: 0,
        }
    }

    fn list(list: &'w mut Vec<Bytes>) -> Self {
        Self {
            sink: Sink::List(list),
            written: 0,
        }
    }

    /// How many arguments were written.
    #[inline]
    pub(crate) fn written(&self) -> usize {
        self.written
    }

    /// Writes an argument that is text.
    #[inline]
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Writes an argument as it is.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.written = self.written.saturating_add(1);
        match &mut self.sink {
            Sink::Wire(buffer) => bulk(buffer, bytes),
            Sink::List(list) => list.push(Bytes::copy_from_slice(bytes)),
        }
    }

    /// Writes an argument that is shared already; where arguments are kept, it is not copied.
    #[inline]
    pub fn shared(&mut self, bytes: &Bytes) {
        match &mut self.sink {
            Sink::Wire(_) => self.bytes(bytes),
            Sink::List(list) => {
                self.written = self.written.saturating_add(1);
                list.push(bytes.clone());
            }
        }
    }

    /// Writes a number in decimal digits.
    #[inline]
    pub fn integer(&mut self, number: i64) {
        self.bytes(itoa::Buffer::new().format(number).as_bytes());
    }

    /// Writes the shortest text that stands for this number: `1`, `0.1`, `1e300`, `inf`, `-inf`, `nan`.
    pub fn float(&mut self, number: f64) {
        self.formatted(number, number);
    }

    /// `number` in its own precision, and its `magnitude`.
    fn formatted(&mut self, number: impl Display + LowerExp, magnitude: f64) {
        if magnitude.is_nan() {
            return self.bytes(b"nan");
        }
        let mut text = [0_u8; FLOAT_CHARS];
        let mut rest = text.as_mut_slice();
        let plain =
            magnitude == 0.0 || magnitude.is_infinite() || PLAIN_FLOATS.contains(&magnitude.abs());
        // Neither can fail: there is room for the longest.
        let _ = if plain {
            write!(rest, "{number}")
        } else {
            write!(rest, "{number:e}")
        };
        let length = FLOAT_CHARS.saturating_sub(rest.len());
        self.bytes(text.get(..length).unwrap_or_default());
    }
}

impl ToArg for str {
    #[inline]
    fn write_to(&self, writer: &mut ArgWriter<'_>) {
        writer.text(self);
    }
}

impl ToArg for String {
    #[inline]
    fn write_to(&self, writer: &mut ArgWriter<'_>) {
        writer.text(self);
    }
}

impl ToArg for char {
    fn write_to(&self, writer: &mut ArgWriter<'_>) {
        writer.text(self.encode_utf8(&mut [0; 4]));
    }
}

impl ToArg for [u8] {
    #[inline]
    fn write_to(&self, writer: &mut ArgWriter<'_>) {
        writer.bytes(self);
    }
}

impl<const N: usize> ToArg for [u8; N] {
    #[inline]
    fn write_to(&self, writer: &mut ArgWriter<'_>) {
        writer.bytes(self);
    }
}

impl ToArg for Vec<u8> {
    #[inline]
    fn write_to(&self, writer: &mut ArgWriter<'_>) {
        writer.bytes(self);
    }
}

impl ToArg for Bytes {
    #[inline]
    fn write_to(&self, writer: &mut ArgWriter<'_>) {
        writer.shared(self);
    }
}

impl ToArg for BytesMut {
    fn write_to(&self, writer: &mut ArgWriter<'_>) {
        writer.bytes(self);
    }
}

impl ToArg for f32 {
    fn write_to(&self, writer: &mut ArgWriter<'_>) {
        writer.formatted(*self, f64::from(*self));
    }
}

impl ToArg for f64 {
    fn write_to(&self, writer: &mut ArgWriter<'_>) {
        writer.float(*self);
    }
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl ToArg for $integer {
            #[inline]
            fn write_to(&self, writer: &mut ArgWriter<'_>) {
                writer.bytes(itoa::Buffer::new().format(*self).as_bytes());
            }
        }
    )*};
}

// Without `u8`: a sequence of bytes is one argument, not one for each byte.
integers!(i8 i16 i32 i64 i128 isize u16 u32 u64 u128 usize);

macro_rules! pointers {
    ($($pointer:ty)*) => {$(
        impl<T: ToArg + ?Sized> ToArg for $pointer {
            #[inline]
            fn write_to(&self, writer: &mut ArgWriter<'_>) {
                (**self).write_to(writer);
            }
        }
    )*};
}

pointers!(&T &mut T Box<T> Rc<T> Arc<T>);

impl<T: ToArg + ToOwned + ?Sized> ToArg for Cow<'_, T> {
    fn write_to(&self, writer: &mut ArgWriter<'_>) {
        (**self).write_to(writer);
    }
}
