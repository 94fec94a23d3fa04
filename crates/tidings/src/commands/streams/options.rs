//! The options of stream commands.

use std::time::Duration;

use tidings_proto::ToArg;

use crate::commands::args::{Milliseconds, Words, options, written_as};

/// How a stream is to be trimmed, for `XTRIM` and `XADD`.
///
/// ```
/// use tidings::options::StreamTrim;
///
/// let newest = StreamTrim::maxlen(1000);
/// // As many as are cheap to remove, from whole nodes of the stream: many times faster.
/// let about = StreamTrim::maxlen(1000).approximate();
/// let since = StreamTrim::minid("1700000000000-0");
/// # let _ = (newest, about, since);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "options do nothing until a command takes them"]
pub struct StreamTrim {
    strategy: Words,
    precision: Words,
    threshold: Words,
    limit: Words,
}

impl StreamTrim {
    fn new(strategy: &'static str, threshold: impl ToArg) -> Self {
        Self {
            strategy: Words::of(strategy),
            precision: Words::default(),
            threshold: Words::of(threshold),
            limit: Words::default(),
        }
    }

    /// `MAXLEN`: so many entries remain, the newest.
    pub fn maxlen(entries: u64) -> Self {
        Self::new("MAXLEN", entries)
    }

    /// `MINID`: the entries from this id on remain.
    pub fn minid(id: impl ToArg) -> Self {
        Self::new("MINID", id)
    }

    /// `~`: more may remain, if that is faster.
    pub fn approximate(mut self) -> Self {
        self.precision.begin().arg("~");
        self
    }

    /// `~ … LIMIT`: as [`approximate`](Self::approximate), and looks at so many entries at most; at all of them with 0.
    pub fn limit(mut self, entries: u64) -> Self {
        self.limit.begin().arg("LIMIT").arg(entries);
        self.approximate()
    }
}

written_as!(StreamTrim: strategy precision threshold limit);

/// Which pending entries `XPENDING` is to tell of: those from one id to another, and so many at most.
///
/// ```
/// use std::time::Duration;
/// use tidings::options::PendingRange;
///
/// let stale = PendingRange::new("-", "+", 100).idle(Duration::from_secs(60));
/// # let _ = stale;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "options do nothing until a command takes them"]
pub struct PendingRange {
    idle: Words,
    range: Words,
    consumer: Words,
}

impl PendingRange {
    /// From one id to another, both included; `-` is the lowest and `+` the highest, and `(` in front leaves that
    /// one out.
    pub fn new(start: impl ToArg, end: impl ToArg, count: u64) -> Self {
        let mut range = Words::of(start);
        range.arg(end).arg(count);
        Self {
            idle: Words::default(),
            range,
            consumer: Words::default(),
        }
    }

    /// `IDLE`: those that were not delivered for so long. Since 6.2.0.
    pub fn idle(mut self, time: Duration) -> Self {
        self.idle.begin().arg("IDLE").arg(Milliseconds(time));
        self
    }

    /// Those of one consumer.
    pub fn consumer(mut self, name: impl ToArg) -> Self {
        self.consumer.begin().arg(name);
        self
    }
}

written_as!(PendingRange: idle range consumer);

options! {
    /// Options of `XADD`.
    pub struct XaddOptions {
        create {
            /// `NOMKSTREAM`: adds nothing where there is no such stream. Since 6.2.0.
            fn nomkstream() = ["NOMKSTREAM"];
        }
        trim {
            /// `MAXLEN`, `MINID`: trims the stream as well.
            fn trim(trim: StreamTrim) = [trim];
        }
    }

    /// Options of `XREAD`.
    pub struct XreadOptions {
        count {
            /// `COUNT`: so many entries of each stream at most.
            fn count(entries: u64) = ["COUNT" entries];
        }
        block {
            /// `BLOCK`: waits so long for an entry if there is none; for ever with [`Duration::ZERO`].
            fn block(time: Duration) = ["BLOCK" (Milliseconds(time))];
        }
    }

    /// Options of `XREADGROUP`.
    pub struct XreadgroupOptions {
        count {
            /// `COUNT`: so many entries of each stream at most.
            fn count(entries: u64) = ["COUNT" entries];
        }
        block {
            /// `BLOCK`: waits so long for an entry if there is none; for ever with [`Duration::ZERO`].
            fn block(time: Duration) = ["BLOCK" (Milliseconds(time))];
        }
        acknowledge {
            /// `NOACK`: the entries do not become pending, as if they were acknowledged at once.
            fn noack() = ["NOACK"];
        }
    }

    /// Options of `XCLAIM`.
    pub struct XclaimOptions {
        idle {
            /// `IDLE`: as if they had last been delivered so long ago, and not now.
            fn idle(time: Duration) = ["IDLE" (Milliseconds(time))];
            /// `TIME`: as if they had last been delivered at this time, in milliseconds since 1970.
            fn time(unix_milliseconds: i64) = ["TIME" unix_milliseconds];
        }
        retries {
            /// `RETRYCOUNT`: as if they had been delivered so often.
            fn retrycount(count: u64) = ["RETRYCOUNT" count];
        }
        force {
            /// `FORCE`: also those that are nobody's yet, if the stream has them.
            fn force() = ["FORCE"];
        }
        reply {
            /// `JUSTID`: only the ids come back, and the deliveries are not counted.
            fn justid() = ["JUSTID"];
        }
        last {
            /// `LASTID`: sets the last id that the group has read, if it is higher.
            fn lastid(id: impl ToArg) = ["LASTID" id];
        }
    }

    /// Options of `XAUTOCLAIM`.
    pub struct XautoclaimOptions {
        count {
            /// `COUNT`: so many entries at most; 100 unless told.
            fn count(entries: u64) = ["COUNT" entries];
        }
        reply {
            /// `JUSTID`: only the ids come back, and the deliveries are not counted.
            fn justid() = ["JUSTID"];
        }
    }

    /// Options of `XGROUP CREATE`.
    pub struct XgroupCreateOptions {
        create {
            /// `MKSTREAM`: makes the stream, empty, if there is none.
            fn mkstream() = ["MKSTREAM"];
        }
        read {
            /// `ENTRIESREAD`: how many entries the group is to have read, for its lag. Since 7.0.0.
            fn entriesread(entries: i64) = ["ENTRIESREAD" entries];
        }
    }

    /// Options of `XGROUP SETID`.
    pub struct XgroupSetidOptions {
        read {
            /// `ENTRIESREAD`: how many entries the group is to have read, for its lag. Since 7.0.0.
            fn entriesread(entries: i64) = ["ENTRIESREAD" entries];
        }
    }

    /// Options of `XSETID`.
    pub struct XsetidOptions {
        added {
            /// `ENTRIESADDED`: how many entries were ever added. Since 7.0.0.
            fn entriesadded(entries: u64) = ["ENTRIESADDED" entries];
        }
        deleted {
            /// `MAXDELETEDID`: the highest id that was deleted. Since 7.0.0.
            fn maxdeletedid(id: impl ToArg) = ["MAXDELETEDID" id];
        }
    }
}
