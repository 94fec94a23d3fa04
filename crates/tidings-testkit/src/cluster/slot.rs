//! Which slot a key belongs to.

/// How many slots a cluster has.
pub const SLOTS: u16 = 16_384;

/// The slot of a key or a shard channel: CRC16 of what stands between its first `{` and the next
/// `}`, or of all of it if there is nothing between them.
///
/// ```
/// use tidings_testkit::slot_of;
/// assert_eq!(slot_of("foo"), 12_182);
/// assert_eq!(slot_of("user:{foo}:name"), slot_of("foo"));
/// ```
#[must_use]
pub fn slot_of(key: impl AsRef<[u8]>) -> u16 {
    crc16(tag(key.as_ref())) % SLOTS
}

fn tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|byte| *byte == b'{') else {
        return key;
    };
    let inside = &key[open + 1..];
    match inside.iter().position(|byte| *byte == b'}') {
        Some(close) if close > 0 => &inside[..close],
        _ => key,
    }
}

/// CRC-16/XMODEM: polynomial 0x1021, nothing reflected, from zero.
fn crc16(bytes: &[u8]) -> u16 {
    let step = |crc: u16| {
        if crc & 0x8000 == 0 {
            crc << 1
        } else {
            (crc << 1) ^ 0x1021
        }
    };
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| step(crc))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_checksum_is_right() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
    }

    #[test]
    fn only_a_tag_that_is_not_empty_counts() {
        assert_eq!(tag(b"{user}.name"), b"user");
        assert_eq!(tag(b"a{}b{c}"), b"a{}b{c}");
        assert_eq!(tag(b"a{{b}}c"), b"{b");
        assert_eq!(tag(b"a}b{c"), b"a}b{c");
        assert_eq!(tag(b""), b"");
    }
}
