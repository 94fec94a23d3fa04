//! A value that is never printed.

use std::fmt;

/// A password or a private key. `Debug` prints `_`, there is no `Display`, and only
/// [`expose`](Secret::expose) gives the value out, so that each place that does can be found.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret<T>(T);

impl<T> Secret<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(value)
    }

    pub(crate) fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn se_01_a_secret_prints_as_an_underscore() {
        let secret = Secret::new("hush".to_owned());
        assert_eq!(format!("{secret:?}"), "_");
        assert_eq!(format!("{:#?}", Some(secret.clone())), "Some(\n    _,\n)");
        assert_eq!(secret.expose(), "hush");
    }
}
