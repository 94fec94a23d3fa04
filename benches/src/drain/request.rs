//! Commands as clients send them.

/// The command at the start of `input`: its arguments, and how long it is. `None` while it is not
/// complete. The bytes come from contestants, so that nonsense is a mistake worth a panic.
pub(crate) fn parse(input: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    if input.first()? != &b'*' {
        return parse_inline(input);
    }
    let (count, mut at) = number(input, 0)?;
    let mut arguments = Vec::with_capacity(count);
    for _ in 0..count {
        let (len, start) = number(input, at)?;
        arguments.push(input.get(start..start + len)?.to_vec());
        at = start + len + "\r\n".len();
    }
    (at <= input.len()).then_some((arguments, at))
}

/// Words on a line: fred says HELLO like this.
fn parse_inline(input: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    let end = line_end(input)?;
    let words = input[..end].split(u8::is_ascii_whitespace);
    let arguments = words
        .filter(|word| !word.is_empty())
        .map(<[u8]>::to_vec)
        .collect();
    Some((arguments, end + "\r\n".len()))
}

/// The number in the line at `at`, behind its mark, and where the next line starts.
fn number(input: &[u8], at: usize) -> Option<(usize, usize)> {
    let line = input.get(at..)?;
    let end = line_end(line)?;
    let digits = std::str::from_utf8(&line[1..end]).expect("a length is text");
    Some((
        digits.parse().expect("a length is a number"),
        at + end + "\r\n".len(),
    ))
}

fn line_end(input: &[u8]) -> Option<usize> {
    input.windows(2).position(|pair| pair == b"\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_taken_only_when_it_is_complete() {
        for command in [&b"*2\r\n$4\r\nPING\r\n$2\r\nhi\r\n"[..], b"PING  hi\r\n"] {
            for cut in 0..command.len() {
                assert_eq!(parse(&command[..cut]), None);
            }
            let more = [command, b"*1\r\n"].concat();
            let arguments = vec![b"PING".to_vec(), b"hi".to_vec()];
            assert_eq!(parse(&more), Some((arguments, command.len())));
        }
    }
}
