//! Tuples: the elements of one list, or one of a list's rows.

use super::{FromReply, collections};
use crate::{
    error::{DecodeError, Error},
    resp::{Elements, Reply},
};

/// Whether a list is made of rows, `[[a, 1], [b, 2]]`, and not flat, `[a, 1, b, 2]`.
///
/// RESP2 and RESP3 differ in this for the same command. A flat list whose first row is made of lists
/// of a row's length cannot be told from rows, and is taken for them.
fn has_rows(elements: &Elements<'_>, width: usize) -> Result<bool, Error> {
    for element in elements.clone().take(width) {
        match element? {
            Reply::Array(row) if row.len() == width => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

fn next<'a>(elements: &mut Elements<'a>) -> Result<Reply<'a>, Error> {
    match elements.next() {
        Some(element) => Ok(element?),
        None => Err(DecodeError::message("expected another element, got the end").into()),
    }
}

#[cold]
fn wrong_width(width: usize, reply: &Reply<'_>) -> Error {
    DecodeError::new(format!("a list of {width} elements"), reply).into()
}

#[cold]
fn wrong_rows(width: usize, reply: &Reply<'_>) -> Error {
    DecodeError::new(format!("a list of rows of {width} elements"), reply).into()
}

macro_rules! tuples {
    ($($width:literal: $($name:ident)+;)*) => {$(
        impl<$($name: FromReply),+> FromReply for ($($name,)+) {
            fn from_reply(reply: Reply<'_>) -> Result<Self, Error> {
                match collections::elements(reply.clone())? {
                    Some(mut elements) if elements.len() == $width => {
                        Ok(($($name::from_reply(next(&mut elements)?)?,)+))
                    }
                    _ => Err(wrong_width($width, &reply)),
                }
            }

            fn extend_from_reply<Rows: Extend<Self>>(
                list: &mut Rows,
                reply: Reply<'_>,
            ) -> Result<(), Error> {
                let Some(mut elements) = collections::elements(reply.clone())? else {
                    return Ok(());
                };
                if !matches!(reply, Reply::Map(_)) && has_rows(&elements, $width)? {
                    let capacity = elements.capacity();
                    let rows = elements.map(|row| Self::from_reply(row?));
                    return collections::extend(list, capacity, rows);
                }
                if !elements.len().is_multiple_of($width) {
                    return Err(wrong_rows($width, &reply));
                }
                let capacity = elements.capacity() / $width;
                let rows = std::iter::from_fn(|| {
                    (!elements.is_empty())
                        .then(|| Ok(($($name::from_reply(next(&mut elements)?)?,)+)))
                });
                collections::extend(list, capacity, rows)
            }
        }
    )*};
}

tuples! {
    1: A;
    2: A B;
    3: A B C;
    4: A B C D;
    5: A B C D E;
    6: A B C D E F;
    7: A B C D E F G;
    8: A B C D E F G H;
    9: A B C D E F G H I;
    10: A B C D E F G H I J;
    11: A B C D E F G H I J K;
    12: A B C D E F G H I J K L;
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use super::super::tests::{decode, decode_error};

    #[test]
    fn a_tuple_is_a_list_of_its_length() {
        assert_eq!(decode("*1\r\n:1\r\n"), Ok((1,)));
        assert_eq!(
            decode("*3\r\n:1\r\n+b\r\n$-1\r\n"),
            Ok((1, "b".to_owned(), None::<i64>))
        );
        assert_eq!(
            decode_error::<(i64, i64)>("*3\r\n:1\r\n:2\r\n:3\r\n"),
            "expected a list of 2 elements, got array of 3"
        );
        assert_eq!(
            decode_error::<(i64, i64)>("_\r\n"),
            "expected a list of 2 elements, got nil"
        );
    }

    #[test]
    fn rows_come_flat_and_nested() {
        let scores = vec![("a".to_owned(), 1.5), ("b".to_owned(), 2.0)];
        assert_eq!(
            decode("*4\r\n+a\r\n$3\r\n1.5\r\n+b\r\n$1\r\n2\r\n"),
            Ok(scores.clone())
        );
        assert_eq!(
            decode("*2\r\n*2\r\n+a\r\n,1.5\r\n*2\r\n+b\r\n,2\r\n"),
            Ok(scores)
        );
        assert_eq!(
            decode("*6\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n"),
            Ok(vec![(1, 2, 3), (4, 5, 6)])
        );
        assert_eq!(decode("*0\r\n"), Ok(Vec::<(i64, i64)>::new()));
    }

    #[test]
    fn rows_that_hold_lists_are_read_as_they_are_meant() {
        let stream = "*1\r\n*2\r\n+1-0\r\n*2\r\n+f\r\n+v\r\n";
        let expected = vec![("1-0".to_owned(), vec![("f".to_owned(), "v".to_owned())])];
        assert_eq!(decode(stream), Ok(expected));
        let flat = "*2\r\n*2\r\n:1\r\n:2\r\n:3\r\n";
        assert_eq!(decode(flat), Ok(vec![(vec![1, 2], 3)]));
        let map = "%1\r\n*2\r\n:1\r\n:2\r\n*2\r\n:3\r\n:4\r\n";
        assert_eq!(decode(map), Ok(vec![(vec![1, 2], vec![3, 4])]));
    }

    /// What XREAD answers for two streams: pairs in RESP2, a map in RESP3.
    const STREAMS: [&str; 2] = [
        "*2\r\n*2\r\n+a\r\n*2\r\n*2\r\n+1-0\r\n*4\r\n+f\r\n+v\r\n+g\r\n+w\r\n*2\r\n+2-0\r\n*-1\r\n\
         *2\r\n+b\r\n*1\r\n*2\r\n+3-0\r\n*2\r\n+f\r\n+v\r\n",
        "%2\r\n+a\r\n*2\r\n*2\r\n+1-0\r\n*4\r\n+f\r\n+v\r\n+g\r\n+w\r\n*2\r\n+2-0\r\n_\r\n\
         +b\r\n*1\r\n*2\r\n+3-0\r\n*2\r\n+f\r\n+v\r\n",
    ];

    #[test]
    fn entries_of_streams_are_lists_and_maps_alike() {
        type Entries<Fields> = Vec<(String, Fields)>;
        let text = |text: &str| text.to_owned();
        let (f, g) = ((text("f"), text("v")), (text("g"), text("w")));
        let lists = [
            (
                text("a"),
                vec![
                    (text("1-0"), vec![f.clone(), g]),
                    // An entry that was deleted.
                    (text("2-0"), vec![]),
                ],
            ),
            (text("b"), vec![(text("3-0"), vec![f])]),
        ];
        let map =
            |fields: &Vec<(String, String)>| -> HashMap<_, _> { fields.iter().cloned().collect() };
        let maps: HashMap<String, Entries<HashMap<String, String>>> = lists
            .iter()
            .map(|(key, entries)| {
                let entries = entries.iter().map(|(id, fields)| (id.clone(), map(fields)));
                (key.clone(), entries.collect())
            })
            .collect();
        for wire in STREAMS {
            assert_eq!(decode(wire), Ok(lists.to_vec()));
            assert_eq!(decode(wire), Ok(HashMap::from(lists.clone())));
            assert_eq!(decode(wire), Ok(maps.clone()));
            let entries: BTreeMap<String, BTreeMap<String, Option<Vec<String>>>> =
                decode(wire).unwrap();
            assert_eq!(entries["a"]["2-0"], None);
            assert_eq!(
                entries["b"]["3-0"].as_deref(),
                Some(&[text("f"), text("v")][..])
            );
        }
        for nil in ["*-1\r\n", "_\r\n"] {
            assert_eq!(
                decode(nil),
                Ok(HashMap::<String, Entries<Vec<String>>>::new())
            );
            assert_eq!(
                decode(nil),
                Ok(Vec::<(String, Entries<Vec<String>>)>::new())
            );
        }
    }

    #[test]
    fn a_row_that_is_cut_short_is_refused() {
        assert_eq!(
            decode_error::<Vec<(i64, i64)>>("*3\r\n:1\r\n:2\r\n:3\r\n"),
            "expected a list of rows of 2 elements, got array of 3"
        );
    }
}
