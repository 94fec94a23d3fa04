//! The charset of text, by its label.

use tidings_proto::Charset;

use crate::error::{Error, Result};

/// A charset, or a label that names none.
#[derive(Clone, Debug)]
pub(crate) struct Label(Result<Charset, String>);

impl Default for Label {
    fn default() -> Self {
        Self(Ok(Charset::UTF_8))
    }
}

impl Label {
    #[cfg(feature = "charset")]
    pub(crate) fn named(label: &str) -> Self {
        Self(Charset::for_label(label).ok_or_else(|| label.to_owned()))
    }

    pub(crate) fn charset(&self) -> Result<Charset> {
        self.0.clone().map_err(|label| {
            let known = "iso-8859-1, iso-8859-15, windows-1252, shift_jis, euc-kr or gb18030";
            let why = match label.to_ascii_lowercase() {
                utf_16 if utf_16.starts_with("utf-16") || utf_16.starts_with("utf16") => {
                    "cannot be used, since servers count on ASCII"
                }
                _ => "is not known",
            };
            // A label is short; whatever was mistaken for one may be a secret.
            let named = match label.len() {
                0..=32 if label.bytes().all(is_of_label) => format!(" `{label}`"),
                _ => String::new(),
            };
            Error::config(format!(
                "the charset{named} {why}: write utf-8, or another one such as {known}"
            ))
        })
    }
}

fn is_of_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_:.".contains(&byte)
}

#[cfg(all(test, feature = "charset"))]
mod tests {
    use crate::config::{Config, IntoConfig};

    fn refused(config: impl IntoConfig) -> String {
        config.into_config().unwrap_err().to_string()
    }

    #[test]
    fn a_charset_is_named_by_a_setter_or_in_the_url() {
        let config = Config::new("localhost", 6379);
        assert!(config.text_charset().is_utf_8());
        assert_eq!(config.charset("latin1").text_charset().name(), "ISO-8859-1");
        let config = Config::from_url("redis://localhost?charset=Shift_JIS").unwrap();
        assert_eq!(config.text_charset().name(), "Shift_JIS");
        assert!(format!("{config:?}").contains("Shift_JIS"));
    }

    #[test]
    fn a_wrong_label_is_refused_by_name_and_with_what_to_write() {
        for label in ["klingon", "", "utf-16le"] {
            let error = refused(Config::new("localhost", 6379).charset(label));
            assert!(
                error.contains(label) && error.contains("iso-8859-1"),
                "{error}"
            );
            let error = refused(format!("redis://localhost?charset={label}"));
            assert!(error.contains(label) && error.contains("utf-8"), "{error}");
        }
        let error = refused(Config::new("localhost", 6379).charset("hush hush"));
        assert!(!error.contains("hush"), "{error}");
    }
}
