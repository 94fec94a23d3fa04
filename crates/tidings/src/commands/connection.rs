//! Commands about the connection.

/// The table of connection commands.
macro_rules! table {
    ($emit:ident) => {
        $emit! {
            /// `PING`: resolves when the server has answered.
            ///
            /// O(1), since 1.0.0.
            fn ping() -> () = ["PING"];

            /// `ECHO`: the message, from the server.
            ///
            /// O(1), since 1.0.0.
            fn echo[T](message: impl ToArg) -> T = ["ECHO" message];
        }
    };
}

pub(super) use table;
