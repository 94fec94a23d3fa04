//! What arguments of commands are made of, beside text, bytes and numbers.

use std::time::Duration;

use tidings_proto::{Arg, ArgWriter, ToArg, ToArgs};

/// The shape of options. See [`ToArgs`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Options;

/// The shape of arguments with their number in front. See [`ToArgs`].
#[derive(Debug)]
#[non_exhaustive]
pub(crate) struct CountedShape<S>(S);

/// Arguments with their number in front, as `numkeys key [key …]`.
pub(crate) struct Counted<I>(pub(crate) I);

impl<S, I: ToArgs<S>> ToArgs<CountedShape<S>> for Counted<I> {
    fn write_all(self, writer: &mut ArgWriter<'_>) {
        let args = self.0.collect_args();
        args.len().write_to(writer);
        args.iter().for_each(|arg| arg.write_to(writer));
    }
}

/// Pairs of arguments with the number of pairs in front, as `numfields field value [field value …]`.
pub(crate) struct CountedPairs<I>(pub(crate) I);

impl<S, I: ToArgs<S>> ToArgs<CountedShape<S>> for CountedPairs<I> {
    fn write_all(self, writer: &mut ArgWriter<'_>) {
        let args = self.0.collect_args();
        // Half a pair counts too, so that the server says what is wrong.
        args.len().div_ceil(2).write_to(writer);
        args.iter().for_each(|arg| arg.write_to(writer));
    }
}

/// The shape of [`Streams`]. See [`ToArgs`].
#[derive(Debug)]
#[non_exhaustive]
pub(crate) struct StreamsShape<S>(S);

/// Pairs of a key and an id, as `STREAMS key [key …] id [id …]`.
pub(crate) struct Streams<I>(pub(crate) I);

impl<S, I: ToArgs<S>> ToArgs<StreamsShape<S>> for Streams<I> {
    fn write_all(self, writer: &mut ArgWriter<'_>) {
        let pairs = self.0.collect_args();
        let keys = pairs.iter().step_by(2);
        let ids = pairs.iter().skip(1).step_by(2);
        writer.text("STREAMS");
        keys.chain(ids).for_each(|arg| arg.write_to(writer));
    }
}

/// A bit, `1` or `0`.
pub(crate) struct Bit(pub(crate) bool);

impl ToArg for Bit {
    fn write_to(&self, writer: &mut ArgWriter<'_>) {
        writer.text(if self.0 { "1" } else { "0" });
    }
}

/// `ON` or `OFF`.
pub(crate) struct OnOff(pub(crate) bool);

impl ToArg for OnOff {
    fn write_to(&self, writer: &mut ArgWriter<'_>) {
        writer.text(if self.0 { "ON" } else { "OFF" });
    }
}

/// `yes` or `no`.
pub(crate) struct YesNo(pub(crate) bool);

impl ToArg for YesNo {
    fn write_to(&self, writer: &mut ArgWriter<'_>) {
        writer.text(if self.0 { "yes" } else { "no" });
    }
}

/// A time in seconds with decimals, rounded up to what the server knows: a millisecond.
pub(crate) struct Seconds(pub(crate) Duration);

impl ToArg for Seconds {
    fn write_to(&self, writer: &mut ArgWriter<'_>) {
        let milliseconds = milliseconds(self.0);
        if milliseconds.is_multiple_of(1000) {
            (milliseconds / 1000).write_to(writer);
        } else {
            (milliseconds as f64 / 1000.0).write_to(writer);
        }
    }
}

/// A time in whole milliseconds, rounded up.
pub(crate) struct Milliseconds(pub(crate) Duration);

impl ToArg for Milliseconds {
    fn write_to(&self, writer: &mut ArgWriter<'_>) {
        milliseconds(self.0).write_to(writer);
    }
}

/// Zero means for ever, so that nothing else may become zero. Ten years are as good as for ever, and no server
/// takes much more.
fn milliseconds(time: Duration) -> u64 {
    const LONGEST: u64 = 10 * 365 * 24 * 60 * 60 * 1000;
    let milliseconds = time.as_nanos().div_ceil(1_000_000);
    u64::try_from(milliseconds).map_or(LONGEST, |ms| ms.min(LONGEST))
}

/// One of the options of a command: nothing, or words that stand together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words(Vec<Arg>);

impl Words {
    pub(crate) fn of<S>(args: impl ToArgs<S>) -> Self {
        Self(args.collect_args())
    }

    /// Nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In the place of what was chosen before.
    pub(crate) fn begin(&mut self) -> &mut Self {
        self.0.clear();
        self
    }

    /// Adds words.
    pub(crate) fn arg<S>(&mut self, args: impl ToArgs<S>) -> &mut Self {
        self.0.extend(args.collect_args());
        self
    }

    pub(crate) fn write_to(&self, writer: &mut ArgWriter<'_>) {
        self.0.iter().for_each(|word| word.write_to(writer));
    }
}

/// Has a struct written as the words in its fields, one after the other.
macro_rules! written_as {
    ($name:ident: $($field:tt)*) => {
        impl tidings_proto::ToArgs<$crate::commands::args::Options> for $name {
            fn write_all(self, writer: &mut tidings_proto::ArgWriter<'_>) {
                (&self).write_all(writer);
            }
        }

        impl tidings_proto::ToArgs<$crate::commands::args::Options> for &$name {
            fn write_all(self, writer: &mut tidings_proto::ArgWriter<'_>) {
                let _ = &writer;
                $(self.$field.write_to(writer);)*
            }
        }
    };
}

/// Makes the builder of a command's options.
///
/// The options of a command are slots, written in the order in which they are declared. The methods of a slot
/// exclude one another, and so do two calls of one: the last one counts. With `+=` calls add up.
macro_rules! options {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($slot:ident {
                $(
                    $(#[$method_meta:meta])*
                    fn $method:ident $(<$($shape:ident),+>)? ($($arg:ident: $type:ty),*) $op:tt [$($word:tt)*];
                )*
            })*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[must_use = "options do nothing until a command takes them"]
        pub struct $name {
            $($slot: $crate::commands::args::Words,)*
        }

        impl $name {
            /// Nothing chosen yet.
            pub fn new() -> Self {
                Self::default()
            }

            $($(
                $(#[$method_meta])*
                #[allow(unused_parens, reason = "a word of several tokens stands in parentheses")]
                pub fn $method $(<$($shape),+>)? (mut self $(, $arg: $type)*) -> Self {
                    options!(@first self.$slot $op)$(.arg($word))*;
                    self
                }
            )*)*
        }

        $crate::commands::args::written_as!($name: $($slot)*);
    )*};
    (@first $self:ident.$slot:ident =) => { $self.$slot.begin() };
    (@first $self:ident.$slot:ident +=) => { $self.$slot };
}

/// Makes an argument of which there are a few: an `enum` of them, each with its word.
macro_rules! choices {
    ($(
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$choice_meta:meta])* $choice:ident = $word:literal,)*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$choice_meta])* $choice,)*
        }

        impl tidings_proto::ToArg for $name {
            fn write_to(&self, writer: &mut tidings_proto::ArgWriter<'_>) {
                writer.text(match self {
                    $(Self::$choice => $word,)*
                });
            }
        }
    )*};
}

pub(crate) use {choices, options, written_as};

#[cfg(test)]
mod tests {
    use super::*;
    use tidings_proto::cmd;

    options! {
        /// A test's.
        pub struct Sample {
            first {
                /// One.
                fn one() = ["ONE"];
                /// Two.
                fn two(n: i64) = ["TWO" n];
            }
            many {
                /// Get.
                fn get(pattern: impl ToArg) += ["GET" pattern];
            }
        }
    }

    #[test]
    fn the_last_option_of_a_slot_counts_and_those_that_add_up_do() {
        let options = Sample::new().get("b").one().two(2).get("c");
        assert_eq!(cmd("X").arg(&options).to_string(), "X TWO 2 GET b GET c");
        assert_eq!(cmd("X").arg(Sample::new()).to_string(), "X");
    }

    #[test]
    fn a_time_never_becomes_zero_unless_it_is() {
        let seconds = |time| cmd("X").arg(Seconds(time)).to_string();
        assert_eq!(seconds(Duration::ZERO), "X 0");
        assert_eq!(seconds(Duration::from_nanos(1)), "X 0.001");
        assert_eq!(seconds(Duration::from_millis(1500)), "X 1.5");
        assert_eq!(seconds(Duration::from_secs(3)), "X 3");
        assert_eq!(seconds(Duration::MAX), "X 315360000");
        let milliseconds = cmd("X").arg(Milliseconds(Duration::from_micros(1)));
        assert_eq!(milliseconds.to_string(), "X 1");
    }

    #[test]
    fn counted_arguments_have_their_number_in_front() {
        assert_eq!(cmd("X").arg(Counted(["a", "b"])).to_string(), "X 2 a b");
        assert_eq!(cmd("X").arg(Counted(None::<&str>)).to_string(), "X 0");
    }

    #[test]
    fn counted_pairs_have_the_number_of_pairs_in_front() {
        let pairs = |args: &[&str]| cmd("X").arg(CountedPairs(args)).to_string();
        assert_eq!(pairs(&["a", "1", "b", "2"]), "X 2 a 1 b 2");
        assert_eq!(pairs(&["a", "1", "b"]), "X 2 a 1 b");
        assert_eq!(
            cmd("X").arg(CountedPairs([("a", 1)])).to_string(),
            "X 1 a 1"
        );
    }

    #[test]
    fn all_keys_of_streams_come_before_their_ids() {
        let streams = cmd("X").arg(Streams([("a", "1-1"), ("b", "$")]));
        assert_eq!(streams.to_string(), "X STREAMS a b 1-1 $");
        let one = cmd("X").arg(Streams(Some(("a", 0))));
        assert_eq!(one.to_string(), "X STREAMS a 0");
    }
}
