use std::fmt;

/// The two versions of the wire protocol; tests run on both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(
    clippy::exhaustive_enums,
    reason = "there are two, and tests match on both"
)]
pub enum Protocol {
    /// RESP2: pushes are arrays, and a subscribed connection takes few commands.
    Resp2,
    /// RESP3: pushes have a type of their own.
    Resp3,
}

impl Protocol {
    /// Both, for loops in tests.
    pub const ALL: [Self; 2] = [Self::Resp2, Self::Resp3];

    /// The number as it stands in `HELLO` and in `?protocol=`: 2 or 3.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RESP{}", self.number())
    }
}
