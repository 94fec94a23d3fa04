//! A Redis and Valkey client whose first purpose is Pub/Sub.
