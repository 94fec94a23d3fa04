//! Payloads as JSON.

use std::ops::{Deref, DerefMut};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidings_proto::{ArgWriter, DecodeError, FromReply, Reply, ToArg};

use super::payload::{FromPayload, PayloadError};

/// A value that is sent and received as JSON (feature `json`).
///
/// ```no_run
/// # async fn example(client: tidings::Client) -> tidings::Result<()> {
/// use tidings::{Commands, Json};
///
/// let mut pubsub = client.pubsub().channels("orders").payload::<Json<Vec<u32>>>().await?;
/// client.publish("orders", Json([1, 2, 3])).await?;
/// while let Some(event) = pubsub.next().await.transpose()? {
///     if let Some(message) = event.message() {
///         println!("{} orders", message.payload().len());
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// A value that cannot be JSON, such as a map whose keys are no text, makes the command that it is given to a
/// [misuse](crate::ErrorKind::Misuse); nothing is sent. JSON is UTF-8 whatever the charset of the client is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Json<T>(pub T);

impl<T> Json<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Json<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Json<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> From<T> for Json<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T: Serialize> ToArg for Json<T> {
    fn write_to(&self, writer: &mut ArgWriter<'_>) {
        match serde_json::to_vec(&self.0) {
            Ok(json) => writer.bytes(&json),
            Err(error) => writer.refuse(format_args!("the value cannot be JSON: {error}")),
        }
    }
}

impl<T: DeserializeOwned + Send + 'static> FromPayload for Json<T> {
    fn from_payload(payload: Bytes) -> Result<Self, PayloadError> {
        of_json(&payload).map_err(PayloadError::new)
    }
}

fn of_json<T: DeserializeOwned>(json: &[u8]) -> Result<Json<T>, String> {
    let value = serde_json::from_slice(json).map(Json);
    value.map_err(|error| format!("it is not the JSON that was expected: {error}"))
}

impl<T: DeserializeOwned> FromReply for Json<T> {
    fn from_reply(reply: Reply<'_>) -> Result<Self, tidings_proto::Error> {
        // A number is JSON as well, and sent as a number by some commands.
        let json = Bytes::from_reply(reply)?;
        of_json(&json).map_err(|error| DecodeError::message(error).into())
    }
}
