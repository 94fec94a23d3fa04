//! A command in a log or an error text: readable, bounded, and without its passwords.

use std::fmt::{self, Write};

use super::CommandRef;
use crate::excerpt::{Clipped, EXCERPT_CHARS, write_word};

/// What stands in the place of a secret.
const HIDDEN: &str = "_";

/// Settings whose values are secrets, of both servers and of Sentinel.
const SECRET_SETTINGS: [&[u8]; 7] = [
    b"requirepass",
    b"masterauth",
    b"primaryauth",
    b"tls-key-file-pass",
    b"tls-client-key-file-pass",
    b"sentinel-pass",
    b"auth-pass",
];

/// What an ACL rule begins with that names a password, or its hash, to add or to remove.
const PASSWORD_RULES: [u8; 4] = [b'>', b'<', b'#', b'!'];

pub(super) fn show(command: CommandRef<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut out = Clipped::new(f, EXCERPT_CHARS);
    write_word(&mut out, command.name())?;
    let mut secrets = Secrets::of(command);
    for argument in command.args() {
        if out.is_full() {
            break;
        }
        out.write_char(' ')?;
        if secrets.hide(argument) {
            out.write_str(HIDDEN)?;
        } else {
            write_word(&mut out, argument)?;
        }
    }
    out.finish()
}

/// Goes along the arguments of a command and says which are secrets.
struct Secrets {
    rule: Rule,
    /// How many of the arguments that follow are hidden.
    hidden: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// No secrets.
    None,
    /// All arguments.
    All,
    /// Those after the words AUTH (`then` of them) and AUTH2 (two).
    AfterAuth { then: usize },
    /// The value of a secret setting.
    Setting,
    /// ACL rules that name a password.
    Passwords,
}

impl Secrets {
    fn of(command: CommandRef<'_>) -> Self {
        let name = command.name();
        let mut args = command.args();
        let subcommand = args.next().unwrap_or_default();
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        let sub_is = |word: &str| subcommand.eq_ignore_ascii_case(word.as_bytes());
        let rule = if is("AUTH") {
            Rule::All
        } else if is("HELLO") {
            Rule::AfterAuth { then: 2 }
        } else if is("MIGRATE") {
            Rule::AfterAuth { then: 1 }
        } else if is("CONFIG") && sub_is("SET")
            || is("SENTINEL") && (sub_is("SET") || sub_is("CONFIG"))
        {
            Rule::Setting
        } else if is("ACL") && sub_is("SETUSER") {
            Rule::Passwords
        } else {
            Rule::None
        };
        Self { rule, hidden: 0 }
    }

    fn hide(&mut self, argument: &[u8]) -> bool {
        if let Some(left) = self.hidden.checked_sub(1) {
            self.hidden = left;
            return true;
        }
        match self.rule {
            Rule::None => false,
            Rule::All => true,
            Rule::AfterAuth { then } => {
                if argument.eq_ignore_ascii_case(b"AUTH") {
                    self.hidden = then;
                } else if argument.eq_ignore_ascii_case(b"AUTH2") {
                    self.hidden = 2;
                }
                false
            }
            Rule::Setting => {
                if SECRET_SETTINGS
                    .iter()
                    .any(|name| argument.eq_ignore_ascii_case(name))
                {
                    self.hidden = 1;
                }
                false
            }
            Rule::Passwords => argument
                .first()
                .is_some_and(|byte| PASSWORD_RULES.contains(byte)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::command::cmd;

    #[test]
    fn words_that_are_plain_stand_as_they_are() {
        assert_eq!(cmd("LPUSH").arg("c").arg(3).to_string(), "LPUSH c 3");
        assert_eq!(
            format!("{:?}", cmd("GET").arg("größe")),
            "Command(GET größe)"
        );
    }

    #[test]
    fn words_that_are_not_plain_are_quoted_and_escaped() {
        assert_eq!(
            cmd("SET").arg("a b").arg(b"\x00\xff\"").arg("").to_string(),
            r#"SET "a b" "\0\xff\"" """#
        );
    }

    #[test]
    fn a_long_command_is_cut_at_100_characters() {
        let text = cmd("SET").arg("k").arg("x".repeat(1 << 20)).to_string();
        assert_eq!(text, format!("SET k {}…", "x".repeat(94)));
        let text = cmd("SET").arg("k").arg("x".repeat(94)).to_string();
        assert_eq!(text.chars().count(), 100);
        assert!(text.ends_with('x'));
    }

    #[test]
    fn secrets_are_hidden() {
        let shown = [
            (cmd("auth").arg("secret"), "auth _"),
            (cmd("AUTH").arg("user").arg("secret"), "AUTH _ _"),
            (
                cmd("HELLO")
                    .arg(3)
                    .arg(["AUTH", "user", "secret", "SETNAME", "me"]),
                "HELLO 3 AUTH _ _ SETNAME me",
            ),
            (
                cmd("CONFIG").arg(["SET", "maxmemory", "1", "RequirePass", "secret"]),
                "CONFIG SET maxmemory 1 RequirePass _",
            ),
            (
                cmd("ACL").arg([
                    "SETUSER", "u", "on", ">secret", "<secret", "#aa", "!aa", "~*",
                ]),
                "ACL SETUSER u on _ _ _ _ ~*",
            ),
            (
                cmd("MIGRATE").arg(["h", "1", "k", "0", "9", "AUTH", "secret", "KEYS", "k"]),
                "MIGRATE h 1 k 0 9 AUTH _ KEYS k",
            ),
            (
                cmd("MIGRATE").arg(["h", "1", "", "0", "9", "auth2", "u", "secret"]),
                "MIGRATE h 1 \"\" 0 9 auth2 _ _",
            ),
            (
                cmd("SENTINEL").arg(["SET", "main", "auth-pass", "secret"]),
                "SENTINEL SET main auth-pass _",
            ),
        ];
        for (command, text) in shown {
            assert_eq!(command.to_string(), text);
            assert!(!format!("{command:?}").contains("secret"));
        }
    }
}
