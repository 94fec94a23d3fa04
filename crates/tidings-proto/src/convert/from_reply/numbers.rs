//! Numbers, checked: nothing wraps, nothing is rounded to an integer.

use std::str;

use super::{FromReply, mismatch};
use crate::{error::Error, resp::Reply};

macro_rules! integers {
    ($($integer:ty, $expected:literal;)*) => {$(
        impl FromReply for $integer {
            #[inline]
            fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
                let number = match &reply {
                    Reply::Integer(number) => <$integer>::try_from(*number).ok(),
                    Reply::Double(number) => {
                        whole(*number).and_then(|number| <$integer>::try_from(number).ok())
                    }
                    reply => digits(reply).and_then(|text| text.parse().ok()),
                };
                number.ok_or_else(|| mismatch($expected, &reply))
            }
        }
    )*};
}

integers! {
    i8, "an integer of 8 bits";
    i16, "an integer of 16 bits";
    i32, "an integer of 32 bits";
    i64, "an integer";
    i128, "an integer";
    isize, "an integer";
    u16, "a non-negative integer of 16 bits";
    u32, "a non-negative integer of 32 bits";
    u64, "a non-negative integer";
    u128, "a non-negative integer";
    usize, "a non-negative integer";
}

impl FromReply for u8 {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        let number = u16::from_reply(reply.clone())
            .ok()
            .and_then(|number| Self::try_from(number).ok());
        number.ok_or_else(|| mismatch("a non-negative integer of 8 bits", &reply))
    }

    /// A list of `u8` is a byte string.
    fn extend_from_reply<C: Extend<Self>>(list: &mut C, reply: Reply<'_>) -> Result<(), Error> {
        list.extend(super::text::bytes_of(&reply)?.iter().copied());
        Ok(())
    }
}

impl FromReply for f64 {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        let number = match &reply {
            Reply::Double(number) => Some(*number),
            // Beyond 2^53 this is the nearest double, as the text of the number would be.
            Reply::Integer(number) => Some(*number as Self),
            reply => digits(reply).and_then(|text| text.parse().ok()),
        };
        number.ok_or_else(|| mismatch("a number", &reply))
    }
}

impl FromReply for f32 {
    fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
        let number = match &reply {
            Reply::Double(number) => Some(*number as Self),
            Reply::Integer(number) => Some(*number as Self),
            reply => digits(reply).and_then(|text| text.parse().ok()),
        };
        number.ok_or_else(|| mismatch("a number", &reply))
    }
}

/// RESP2 gives a score of 3 as the text `3`, RESP3 as a double. No integer that is asked for is larger than these.
fn whole(number: f64) -> Option<i128> {
    const LARGEST: f64 = u64::MAX as f64;
    (number.fract() == 0.0 && number.abs() <= LARGEST).then_some(number as i128)
}

fn digits<'a>(reply: &Reply<'a>) -> Option<&'a str> {
    let text = match reply {
        Reply::BigNumber(digits) => digits,
        reply => reply.as_bytes()?,
    };
    str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{decode, decode_error};

    #[test]
    fn integers_come_as_numbers_and_as_text() {
        assert_eq!(decode(":-7\r\n"), Ok(-7_i64));
        assert_eq!(decode("$2\r\n-7\r\n"), Ok(-7_i32));
        assert_eq!(decode("+7\r\n"), Ok(7_u8));
        assert_eq!(decode(":255\r\n"), Ok(255_u8));
        assert_eq!(decode(":9223372036854775807\r\n"), Ok(usize::MAX / 2));
        assert_eq!(
            decode("(170141183460469231731687303715884105727\r\n"),
            Ok(i128::MAX)
        );
        assert_eq!(decode("$20\r\n18446744073709551615\r\n"), Ok(u64::MAX));
    }

    #[test]
    fn integers_come_as_doubles_that_are_whole() {
        assert_eq!(decode(",3\r\n"), Ok(3_u8));
        assert_eq!(decode(",-7\r\n"), Ok(-7_i64));
        assert_eq!(decode(",9007199254740992\r\n"), Ok(1_i64 << 53));
        assert_eq!(decode(",1e19\r\n"), Ok(10_000_000_000_000_000_000_u64));
        assert_eq!(
            decode_error::<i64>(",1e19\r\n"),
            "expected an integer, got double 10000000000000000000"
        );
        for wire in [
            ",0.5\r\n",
            ",inf\r\n",
            ",-inf\r\n",
            ",nan\r\n",
            ",1e300\r\n",
        ] {
            assert!(decode::<i128>(wire).is_err(), "{wire}");
        }
    }

    #[test]
    fn integers_out_of_range_are_refused_and_not_wrapped() {
        assert_eq!(
            decode_error::<u8>(":256\r\n"),
            "expected a non-negative integer of 8 bits, got integer 256"
        );
        assert_eq!(
            decode_error::<u64>(":-1\r\n"),
            "expected a non-negative integer, got integer -1"
        );
        assert_eq!(
            decode_error::<i8>("$3\r\n128\r\n"),
            "expected an integer of 8 bits, got bulk string \"128\""
        );
    }

    #[test]
    fn what_is_no_integer_is_refused() {
        assert_eq!(
            decode_error::<i64>("$3\r\nabc\r\n"),
            "expected an integer, got bulk string \"abc\""
        );
        assert_eq!(
            decode_error::<i64>("$-1\r\n"),
            "expected an integer, got nil"
        );
        assert_eq!(
            decode_error::<i64>(",1.5\r\n"),
            "expected an integer, got double 1.5"
        );
        assert_eq!(
            decode_error::<i64>("*1\r\n:1\r\n"),
            "expected an integer, got array of 1"
        );
    }

    #[test]
    fn floats_come_as_numbers_and_as_text() {
        assert_eq!(decode(",2.75\r\n"), Ok(2.75_f64));
        assert_eq!(decode("$4\r\n2.75\r\n"), Ok(2.75_f64));
        assert_eq!(decode("$4\r\n2.75\r\n"), Ok(2.75_f32));
        assert_eq!(decode(":3\r\n"), Ok(3.0_f64));
        assert_eq!(decode(",inf\r\n"), Ok(f64::INFINITY));
        assert_eq!(decode("$4\r\n-inf\r\n"), Ok(f64::NEG_INFINITY));
        assert_eq!(decode(",1.5e-7\r\n"), Ok(1.5e-7_f64));
        assert!(decode::<f64>(",nan\r\n").unwrap().is_nan());
        assert!(decode::<f64>(",-nan\r\n").unwrap().is_nan());
    }
}
