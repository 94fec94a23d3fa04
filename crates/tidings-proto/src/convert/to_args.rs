//! What can be an argument of a command.

use std::{
    borrow::Cow,
    fmt::{Display, LowerExp},
    io::Write as _,
    rc::Rc,
    sync::Arc,
};

use bytes::{Bytes, BytesMut};

use super::{Arg, ArgError, Notes};
use crate::{blob::Blob, resp::encode::bulk};

/// Below and above these magnitudes a float is written with an exponent: without one, the shortest
/// text that gives the same number back would be up to 330 characters long.
const PLAIN_FLOATS: std::ops::Range<f64> = 1e-5..1e17;

/// The longest float, `-2.2250738585072014e-308`, has 24 characters.
const FLOAT_CHARS: usize = 32;

/// Room that is made on the word of an iterator, which may be wrong.
const MOST_EXPECTED: usize = 1 << 20;

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
/// iterators of them; maps and other sequences of pairs, and of triples (`GEOADD`).
///
/// `Shape` is [`One`], [`Many`], [`Pairs`], [`PairRefs`], [`Triples`] or [`TripleRefs`]. It is always inferred;
/// functions that pass arguments on take it as a type parameter.
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
    note = "pairs stand in an array, one as well: `[(\"field\", 1)]`",
    note = "the servers know no booleans: write `1` and `0`, or `\"true\"` and `\"false\"`"
)]
pub trait ToArgs<Shape> {
    /// Writes all arguments, in order.
    fn write_all(self, writer: &mut ArgWriter<'_>);

    /// All arguments, each on its own.
    fn collect_args(self) -> Vec<Arg>
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

/// The shape of a sequence of triples of arguments. See [`ToArgs`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Triples;

/// The shape of a sequence of references to triples of arguments. See [`ToArgs`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TripleRefs;

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
        let arguments = self.into_iter();
        writer.expect(arguments.size_hint().0);
        for argument in arguments {
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

impl<I, A, B, C> ToArgs<Triples> for I
where
    I: IntoIterator<Item = (A, B, C)>,
    A: ToArg,
    B: ToArg,
    C: ToArg,
{
    fn write_all(self, writer: &mut ArgWriter<'_>) {
        for (first, second, third) in self {
            first.write_to(writer);
            second.write_to(writer);
            third.write_to(writer);
        }
    }
}

impl<'a, I, A, B, C> ToArgs<TripleRefs> for I
where
    I: IntoIterator<Item = &'a (A, B, C)>,
    A: ToArg + 'a,
    B: ToArg + 'a,
    C: ToArg + 'a,
{
    fn write_all(self, writer: &mut ArgWriter<'_>) {
        for (first, second, third) in self {
            first.write_to(writer);
            second.write_to(writer);
            third.write_to(writer);
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
    /// A command that is being encoded, what is noted of it, and how many words it had before.
    Wire(&'w mut Vec<u8>, &'w mut Notes, usize),
    List(&'w mut Vec<Arg>),
}

impl<'w> ArgWriter<'w> {
    #[inline]
    pub(crate) fn wire(buffer: &'w mut Vec<u8>, notes: &'w mut Notes, words: usize) -> Self {
        Self {
            sink: Sink::Wire(buffer, notes, words),
            written: 0,
        }
    }

    fn list(list: &'w mut Vec<Arg>) -> Self {
        Self {
            sink: Sink::List(list),
            written: 0,
        }
    }

    /// Prepares for so many arguments, where arguments are kept.
    #[inline]
    fn expect(&mut self, arguments: usize) {
        if let Sink::List(list) = &mut self.sink {
            list.reserve(arguments.min(MOST_EXPECTED));
        }
    }

    /// How many arguments were written.
    #[inline]
    pub(crate) fn written(&self) -> usize {
        self.written
    }

    /// Writes an argument that is text; it is sent in the charset of whoever sends it.
    #[inline]
    pub fn text(&mut self, text: &str) {
        match &mut self.sink {
            Sink::Wire(buffer, notes, words) => {
                notes.text(words.saturating_add(self.written), text);
                bulk(buffer, text.as_bytes());
            }
            Sink::List(list) => list.push(Arg::text(text)),
        }
        self.written = self.written.saturating_add(1);
    }

    /// Writes an argument as it is.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        match &mut self.sink {
            Sink::Wire(buffer, ..) => bulk(buffer, bytes),
            Sink::List(list) => list.push(Arg::bytes(Blob::copy_from(bytes))),
        }
        self.written = self.written.saturating_add(1);
    }

    /// Refuses to be an argument: the command is not sent, and whoever sends it is told why.
    ///
    /// For values that turn out not to be writable, such as a map whose keys are no text where JSON is wanted.
    #[cold]
    pub fn refuse(&mut self, why: impl Display) {
        let error = ArgError::new(why);
        match &mut self.sink {
            Sink::Wire(buffer, notes, _) => {
                notes.refuse(error);
                bulk(buffer, b"");
            }
            Sink::List(list) => list.push(Arg::refused(error)),
        }
        self.written = self.written.saturating_add(1);
    }

    /// Writes an argument that is shared already; where arguments are kept, it is not copied.
    #[inline]
    pub fn shared(&mut self, bytes: &Bytes) {
        match &mut self.sink {
            Sink::Wire(..) => self.bytes(bytes),
            Sink::List(list) => {
                self.written = self.written.saturating_add(1);
                list.push(Arg::bytes(Blob::from(bytes.clone())));
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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use proptest::prelude::*;

    use super::*;
    use crate::{charset::Charset, command::cmd};

    fn kept(list: &[Arg]) -> Blob {
        list[0].encode(Charset::UTF_8).unwrap()
    }

    /// The arguments as a command holds them, which are those that a list of names gets.
    #[track_caller]
    fn check<Shape>(args: impl ToArgs<Shape> + Clone, expected: &[impl AsRef<[u8]>]) {
        let expected: Vec<&[u8]> = expected.iter().map(AsRef::as_ref).collect();
        let command = cmd("X").arg(args.clone());
        assert_eq!(command.len(), expected.len());
        assert_eq!(command.args().collect::<Vec<_>>(), expected);
        let names = args.collect_args().into_iter();
        let names: Vec<Blob> = names
            .map(|name| name.encode(Charset::UTF_8).unwrap())
            .collect();
        assert_eq!(
            names.iter().map(|name| &**name).collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn text_and_bytes_of_any_owner_are_one_argument() {
        let text = String::from("abc");
        check("abc", &["abc"]);
        check(text.as_str(), &["abc"]);
        check(&text, &["abc"]);
        check(&&text, &["abc"]);
        check(text.clone(), &["abc"]);
        check(Cow::Borrowed("abc"), &["abc"]);
        check(Cow::<str>::Owned(text), &["abc"]);
        check(Cow::Borrowed(&b"abc"[..]), &["abc"]);
        check(Box::<str>::from("abc"), &["abc"]);
        check(Arc::<str>::from("abc"), &["abc"]);
        check(Rc::<str>::from("abc"), &["abc"]);
        check('ß', &["ß"]);
        check(b"abc", &["abc"]);
        check(*b"abc", &["abc"]);
        check([97_u8, 98, 99], &["abc"]);
        check(&b"abc"[..], &["abc"]);
        check(b"abc".to_vec(), &["abc"]);
        check(&b"abc".to_vec(), &["abc"]);
        check(Arc::<[u8]>::from(&b"abc"[..]), &["abc"]);
        check(Box::<[u8]>::from(&b"abc"[..]), &["abc"]);
        check(Bytes::from_static(b"abc"), &["abc"]);
        check(&Bytes::from_static(b"abc"), &["abc"]);
        check(BytesMut::from(&b"abc"[..]), &["abc"]);
        check("", &[""]);
        check(Vec::<u8>::new(), &[""]);
    }

    #[test]
    fn numbers_are_one_argument_in_decimal() {
        check(5, &["5"]);
        check(-5_i8, &["-5"]);
        check(&7_u16, &["7"]);
        check(u64::MAX, &["18446744073709551615"]);
        check(i128::MIN, &["-170141183460469231731687303715884105728"]);
        check(usize::MIN, &["0"]);
    }

    #[test]
    fn floats_are_short_and_exact() {
        check(1.0, &["1"]);
        check(-0.1, &["-0.1"]);
        check(0.1_f32, &["0.1"]);
        check(0.0, &["0"]);
        check(1e16, &["10000000000000000"]);
        check(1e300, &["1e300"]);
        check(2.5e-7, &["2.5e-7"]);
        check(-f64::MIN_POSITIVE, &["-2.2250738585072014e-308"]);
        check(f64::INFINITY, &["inf"]);
        check(f64::NEG_INFINITY, &["-inf"]);
        check(f64::NAN, &["nan"]);
        check(f32::MAX, &["3.4028235e38"]);
    }

    #[test]
    fn sequences_are_as_many_arguments_as_they_hold() {
        check(["a", "b"], &["a", "b"]);
        check(&["a", "b"], &["a", "b"]);
        check(&["a", "b"][..], &["a", "b"]);
        check(vec!["a".to_owned(), "b".to_owned()], &["a", "b"]);
        check(&vec!["a".to_owned(), "b".to_owned()], &["a", "b"]);
        check([b"a".to_vec(), b"b".to_vec()], &["a", "b"]);
        check([b"a", b"b"], &["a", "b"]);
        check([Bytes::from_static(b"a")], &["a"]);
        check([1, 2, 3], &["1", "2", "3"]);
        check(1..4, &["1", "2", "3"]);
        check((1..3).map(|n| format!("key:{n}")), &["key:1", "key:2"]);
        check("a b".split(' '), &["a", "b"]);
        check(Some("a"), &["a"]);
        check(&Some(1), &["1"]);
        check(None::<&str>, &[""; 0]);
        check(Vec::<&str>::new(), &[""; 0]);
        check(HashSet::from(["a"]), &["a"]);
        check([Cow::Borrowed("a")], &["a"]);
    }

    #[test]
    fn pairs_are_two_arguments_each() {
        check([("a", 1), ("b", 2)], &["a", "1", "b", "2"]);
        check(&[("a", 1), ("b", 2)], &["a", "1", "b", "2"]);
        check(vec![("a", "x".to_owned())], &["a", "x"]);
        check(
            BTreeMap::from([("a", 1.5), ("b", 2.0)]),
            &["a", "1.5", "b", "2"],
        );
        check(&BTreeMap::from([("a", 1), ("b", 2)]), &["a", "1", "b", "2"]);
        check(["a", "b"].into_iter().zip(1..), &["a", "1", "b", "2"]);
        check(Some(("a", 1)), &["a", "1"]);
    }

    #[test]
    fn triples_are_three_arguments_each() {
        let places = [(1.5, -2.0, "a"), (3.0, 4.0, "b")];
        let expected = ["1.5", "-2", "a", "3", "4", "b"];
        check(places, &expected);
        check(&places, &expected);
        check(&places[..], &expected);
        check(places.to_vec(), &expected);
        check(places.iter(), &expected);
        check(Some((1, 2, 3)), &["1", "2", "3"]);
    }

    #[test]
    fn a_list_of_names_shares_what_is_shared() {
        let name = Bytes::from(vec![b'x'; 100]);
        assert_eq!(kept(&[&name].collect_args()).as_ptr(), name.as_ptr());
    }

    proptest! {
        #[test]
        fn any_float_reads_back_as_it_was(wide: f64, narrow: f32) {
            let text = |list: Vec<Arg>| String::from_utf8(kept(&list).to_vec()).unwrap();
            let wide_text = text(wide.collect_args());
            let narrow_text = text(narrow.collect_args());
            prop_assert!(wide_text.len() <= 24, "{}", wide_text);
            let (same_wide, same_narrow): (f64, f32) =
                (wide_text.parse().unwrap(), narrow_text.parse().unwrap());
            prop_assert!(same_wide == wide || wide.is_nan() && same_wide.is_nan());
            prop_assert!(same_narrow == narrow || narrow.is_nan() && same_narrow.is_nan());
        }

        #[test]
        fn any_arguments_come_out_as_they_went_in(args in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..120)) {
            let command = cmd("X").arg(&args);
            prop_assert_eq!(command.args().collect::<Vec<_>>(), args);
        }
    }
}
