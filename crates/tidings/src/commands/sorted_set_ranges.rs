//! Commands about ranges of sorted sets: by rank, by score, and by text.

use tidings_proto::{ArgWriter, ToArg, ToArgs};

use super::args::{Options, Words, options};

/// A range of a sorted set, for [`zrange_by`](crate::Commands::zrange_by) and
/// [`zrangestore`](crate::Commands::zrangestore).
///
/// ```
/// use tidings::options::Zrange;
///
/// let best_ten = Zrange::by_rank(0, 9).rev();
/// let next_ten_above_5 = Zrange::by_score("(5", "inf").limit(10, 10);
/// let names_with_a = Zrange::by_lex("[a", "(b");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a range does nothing until a command takes it"]
pub struct Zrange {
    kind: Kind,
    first: Words,
    last: Words,
    rev: bool,
    limit: Words,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rank,
    Score,
    Lex,
}

impl Zrange {
    /// From one rank to another, both included. 0 is the member with the lowest score, -1 the one with the highest.
    pub fn by_rank(start: i64, stop: i64) -> Self {
        Self::new(Kind::Rank, start, stop)
    }

    /// From one score to another, both included, as numbers; as text, `"(1"` leaves the bound itself out, and `"-inf"`
    /// and `"inf"` have no bound.
    pub fn by_score(min: impl ToArg, max: impl ToArg) -> Self {
        Self::new(Kind::Score, min, max)
    }

    /// From one text to another, where all scores are the same: `"[a"` with the bound itself, `"(a"` without it, `"-"`
    /// and `"+"` have no bound.
    pub fn by_lex(min: impl ToArg, max: impl ToArg) -> Self {
        Self::new(Kind::Lex, min, max)
    }

    fn new(kind: Kind, first: impl ToArg, last: impl ToArg) -> Self {
        Self {
            kind,
            first: Words::of(first),
            last: Words::of(last),
            rev: false,
            limit: Words::default(),
        }
    }

    /// The other way round, from the highest to the lowest. Ranks then count from the highest; `min` and `max` stay
    /// what they are.
    pub fn rev(mut self) -> Self {
        self.rev = true;
        self
    }

    /// Leaves out the first `offset` members, and gives `count` of the others at most, or all if it is negative. For
    /// scores and texts: the server refuses it with ranks.
    pub fn limit(mut self, offset: u64, count: i64) -> Self {
        self.limit.begin().arg("LIMIT").arg(offset).arg(count);
        self
    }
}

impl ToArgs<Options> for Zrange {
    fn write_all(self, writer: &mut ArgWriter<'_>) {
        (&self).write_all(writer);
    }
}

impl ToArgs<Options> for &Zrange {
    fn write_all(self, writer: &mut ArgWriter<'_>) {
        let (first, last) = match self.kind {
            // The server wants the bound first at which it begins.
            Kind::Score | Kind::Lex if self.rev => (&self.last, &self.first),
            Kind::Rank | Kind::Score | Kind::Lex => (&self.first, &self.last),
        };
        first.write_to(writer);
        last.write_to(writer);
        match self.kind {
            Kind::Rank => {}
            Kind::Score => writer.text("BYSCORE"),
            Kind::Lex => writer.text("BYLEX"),
        }
        if self.rev {
            writer.text("REV");
        }
        self.limit.write_to(writer);
    }
}

options! {
    /// Options of [`zrangebyscore_with`](crate::Commands::zrangebyscore_with) and
    /// [`zrevrangebyscore_with`](crate::Commands::zrevrangebyscore_with).
    pub struct ZrangebyscoreOptions {
        scores {
            /// With the scores: `Vec<(String, f64)>`.
            fn withscores() = ["WITHSCORES"];
        }
        limit {
            /// Leaves out the first `offset` members, and gives `count` of the others at most, or all if it is
            /// negative.
            fn limit(offset: u64, count: i64) = ["LIMIT" offset count];
        }
    }

    /// Options of [`zrangebylex_with`](crate::Commands::zrangebylex_with) and
    /// [`zrevrangebylex_with`](crate::Commands::zrevrangebylex_with).
    pub struct ZrangebylexOptions {
        limit {
            /// Leaves out the first `offset` members, and gives `count` of the others at most, or all if it is
            /// negative.
            fn limit(offset: u64, count: i64) = ["LIMIT" offset count];
        }
    }
}

/// The table of commands about ranges of sorted sets.
macro_rules! table {
    ($emit:ident) => {
        $emit! {
            /// `ZRANGE`: the members from one rank to another, both included, in the order of their scores. -1 is the
            /// last one.
            ///
            /// O(log N + number of members given), since 1.2.0.
            fn zrange[T](key: impl ToArg, start: i64, stop: i64) -> T = ["ZRANGE" key start stop];

            /// `ZRANGE … WITHSCORES`: as [`zrange`](Commands::zrange), with the scores: `Vec<(String, f64)>`.
            ///
            /// O(log N + number of members given), since 1.2.0.
            fn zrange_withscores[T](key: impl ToArg, start: i64, stop: i64) -> T
                = ["ZRANGE" key start stop "WITHSCORES"];

            /// `ZRANGE` of a [range](crate::options::Zrange) by rank, score or text, in either direction.
            ///
            /// ```no_run
            /// # async fn example(client: tidings::Client) -> tidings::Result<()> {
            /// use tidings::{Commands, options::Zrange};
            ///
            /// let above_five = Zrange::by_score("(5", "inf").rev().limit(0, 10);
            /// let names: Vec<String> = client.zrange_by("board", above_five).await?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// O(log N + number of members given), since 6.2.0.
            fn zrange_by[T](key: impl ToArg, range: Zrange) -> T = ["ZRANGE" key range];

            /// `ZRANGE … WITHSCORES` of a [range](crate::options::Zrange) by rank or score: as
            /// [`zrange_by`](Commands::zrange_by), with the scores: `Vec<(String, f64)>`.
            ///
            /// O(log N + number of members given), since 6.2.0.
            fn zrange_by_withscores[T](key: impl ToArg, range: Zrange) -> T = ["ZRANGE" key range "WITHSCORES"];

            /// `ZRANGESTORE`: keeps a [range](crate::options::Zrange) of one sorted set as another, over one that has
            /// the name already; its size.
            ///
            /// O(log N + number of members kept), since 6.2.0.
            fn zrangestore(destination: impl ToArg, source: impl ToArg, range: Zrange) -> i64
                = ["ZRANGESTORE" destination source range];

            /// `ZREVRANGE`: the members from one rank to another, both included, 0 being the one with the highest
            /// score.
            ///
            /// Deprecated by the server in favour of `ZRANGE … REV`, which is [`zrange_by`](Commands::zrange_by).
            ///
            /// O(log N + number of members given), since 1.2.0.
            fn zrevrange[T](key: impl ToArg, start: i64, stop: i64) -> T = ["ZREVRANGE" key start stop];

            /// `ZREVRANGE … WITHSCORES`: as [`zrevrange`](Commands::zrevrange), with the scores: `Vec<(String, f64)>`.
            ///
            /// Deprecated by the server in favour of `ZRANGE … REV`, which is
            /// [`zrange_by_withscores`](Commands::zrange_by_withscores).
            ///
            /// O(log N + number of members given), since 1.2.0.
            fn zrevrange_withscores[T](key: impl ToArg, start: i64, stop: i64) -> T
                = ["ZREVRANGE" key start stop "WITHSCORES"];

            /// `ZRANGEBYSCORE`: the members from one score to another: numbers, or text such as `"(1"` and `"-inf"`.
            ///
            /// Deprecated by the server in favour of `ZRANGE … BYSCORE`, which is [`zrange_by`](Commands::zrange_by).
            ///
            /// O(log N + number of members given), since 1.0.5.
            fn zrangebyscore[T](key: impl ToArg, min: impl ToArg, max: impl ToArg) -> T
                = ["ZRANGEBYSCORE" key min max];

            /// `ZRANGEBYSCORE` with [options](crate::options::ZrangebyscoreOptions).
            ///
            /// Deprecated by the server in favour of `ZRANGE … BYSCORE`, which is [`zrange_by`](Commands::zrange_by).
            ///
            /// O(log N + number of members given), since 1.0.5.
            fn zrangebyscore_with[T](
                key: impl ToArg,
                min: impl ToArg,
                max: impl ToArg,
                options: ZrangebyscoreOptions
            ) -> T = ["ZRANGEBYSCORE" key min max options];

            /// `ZREVRANGEBYSCORE`: the members from one score down to another; the higher one stands first.
            ///
            /// Deprecated by the server in favour of `ZRANGE … BYSCORE REV`, which is
            /// [`zrange_by`](Commands::zrange_by).
            ///
            /// O(log N + number of members given), since 2.2.0.
            fn zrevrangebyscore[T](key: impl ToArg, max: impl ToArg, min: impl ToArg) -> T
                = ["ZREVRANGEBYSCORE" key max min];

            /// `ZREVRANGEBYSCORE` with [options](crate::options::ZrangebyscoreOptions).
            ///
            /// Deprecated by the server in favour of `ZRANGE … BYSCORE REV`, which is
            /// [`zrange_by`](Commands::zrange_by).
            ///
            /// O(log N + number of members given), since 2.2.0.
            fn zrevrangebyscore_with[T](
                key: impl ToArg,
                max: impl ToArg,
                min: impl ToArg,
                options: ZrangebyscoreOptions
            ) -> T = ["ZREVRANGEBYSCORE" key max min options];

            /// `ZRANGEBYLEX`: the members from one text to another, where all scores are the same: `"[a"` with the
            /// bound itself, `"(a"` without it, `"-"` and `"+"` without a bound.
            ///
            /// Deprecated by the server in favour of `ZRANGE … BYLEX`, which is [`zrange_by`](Commands::zrange_by).
            ///
            /// O(log N + number of members given), since 2.8.9.
            fn zrangebylex[T](key: impl ToArg, min: impl ToArg, max: impl ToArg) -> T = ["ZRANGEBYLEX" key min max];

            /// `ZRANGEBYLEX` with [options](crate::options::ZrangebylexOptions).
            ///
            /// Deprecated by the server in favour of `ZRANGE … BYLEX`, which is [`zrange_by`](Commands::zrange_by).
            ///
            /// O(log N + number of members given), since 2.8.9.
            fn zrangebylex_with[T](key: impl ToArg, min: impl ToArg, max: impl ToArg, options: ZrangebylexOptions) -> T
                = ["ZRANGEBYLEX" key min max options];

            /// `ZREVRANGEBYLEX`: the members from one text down to another; the greater one stands first.
            ///
            /// Deprecated by the server in favour of `ZRANGE … BYLEX REV`, which is [`zrange_by`](Commands::zrange_by).
            ///
            /// O(log N + number of members given), since 2.8.9.
            fn zrevrangebylex[T](key: impl ToArg, max: impl ToArg, min: impl ToArg) -> T
                = ["ZREVRANGEBYLEX" key max min];

            /// `ZREVRANGEBYLEX` with [options](crate::options::ZrangebylexOptions).
            ///
            /// Deprecated by the server in favour of `ZRANGE … BYLEX REV`, which is [`zrange_by`](Commands::zrange_by).
            ///
            /// O(log N + number of members given), since 2.8.9.
            fn zrevrangebylex_with[T](
                key: impl ToArg,
                max: impl ToArg,
                min: impl ToArg,
                options: ZrangebylexOptions
            ) -> T = ["ZREVRANGEBYLEX" key max min options];

            /// `ZCOUNT`: how many members there are from one score to another: numbers, or text such as `"(1"` and
            /// `"-inf"`.
            ///
            /// O(log N), since 2.0.0.
            fn zcount(key: impl ToArg, min: impl ToArg, max: impl ToArg) -> i64 = ["ZCOUNT" key min max];

            /// `ZLEXCOUNT`: how many members there are from one text to another, where all scores are the same: `"[a"`,
            /// `"(a"`, `"-"`, `"+"`.
            ///
            /// O(log N), since 2.8.9.
            fn zlexcount(key: impl ToArg, min: impl ToArg, max: impl ToArg) -> i64 = ["ZLEXCOUNT" key min max];

            /// `ZREMRANGEBYRANK`: removes the members from one rank to another, both included; how many there were.
            ///
            /// O(log N + number of members removed), since 2.0.0.
            fn zremrangebyrank(key: impl ToArg, start: i64, stop: i64) -> i64 = ["ZREMRANGEBYRANK" key start stop];

            /// `ZREMRANGEBYSCORE`: removes the members from one score to another, numbers, or text such as `"(1"` and
            /// `"-inf"`; how many there were.
            ///
            /// O(log N + number of members removed), since 1.2.0.
            fn zremrangebyscore(key: impl ToArg, min: impl ToArg, max: impl ToArg) -> i64
                = ["ZREMRANGEBYSCORE" key min max];

            /// `ZREMRANGEBYLEX`: removes the members from one text to another, where all scores are the same: `"[a"`,
            /// `"(a"`, `"-"`, `"+"`; how many there were.
            ///
            /// O(log N + number of members removed), since 2.8.9.
            fn zremrangebylex(key: impl ToArg, min: impl ToArg, max: impl ToArg) -> i64
                = ["ZREMRANGEBYLEX" key min max];
        }
    };
}

pub(super) use table;
