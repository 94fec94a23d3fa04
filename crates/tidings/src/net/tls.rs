//! TLS over TCP, and what its failures mean.

use std::io;

use rustls::{AlertDescription, CertificateError};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Deadline;
use crate::config::{Address, TlsConfig};
use crate::error::{Error, Result};

pub(super) async fn connect(
    tls: &TlsConfig,
    address: &Address,
    host: &str,
    stream: TcpStream,
    deadline: Deadline,
) -> Result<TlsStream<TcpStream>> {
    let name = tls.name_for(host)?;
    let connector = TlsConnector::from(tls.client_config()?);
    deadline
        .bound(
            address,
            "it accepted the connection and did not answer in TLS; does this port speak TLS (if not, write \
             redis:// for rediss://)?",
            connector.connect(name, stream),
        )
        .await?
        .map_err(|error| failed(address, error))
}

fn failed(address: &Address, error: io::Error) -> Error {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let why = match tls {
        Some(rustls::Error::InvalidCertificate(why)) => certificate(why),
        // What came is not TLS, or is cut off.
        Some(rustls::Error::InvalidMessage(_) | rustls::Error::InappropriateMessage { .. }) => {
            "the server does not speak TLS on this port: write redis:// for rediss://, or its TLS port"
        }
        Some(rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure,
        )) => {
            "the server refused it; does it ask for a client's certificate (tls_cert= and tls_key=)?"
        }
        Some(rustls::Error::AlertReceived(_)) => "the server refused it",
        Some(rustls::Error::PeerIncompatible(_)) => {
            "the two sides have no version or cipher in common"
        }
        Some(_) => "the handshake failed",
        None => {
            "the server closed the connection in the handshake; does this port speak TLS (if not, write \
             redis:// for rediss://)?"
        }
    };
    Error::connection(format!("no TLS connection to {address}: {why}")).with_source(error)
}

/// With TLS 1.3 the server says so after the client's side of the handshake is done.
pub(super) fn wants_certificate(error: &io::Error) -> bool {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(
        tls,
        Some(rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure
        ))
    )
}

fn certificate(why: &CertificateError) -> &'static str {
    match why {
        // A signature is bad where a root was made anew under its old name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is not trusted here; give the root that signed it with tls_ca= or \
             `TlsConfig::root_certificates_file`"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name; connect by that name, or give it with tls_server_name= or \
             `TlsConfig::server_name`"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired; renew it, and check the clock of this machine"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; check the clock of this machine"
        }
        CertificateError::Revoked => "its certificate was revoked",
        _ => {
            "its certificate cannot be accepted; it has to be one for servers, signed by a root that is trusted here \
             or given with tls_ca= or `TlsConfig::root_certificates_file`"
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::thread::JoinHandle;
    use std::time::Duration;

    use rcgen::{CertificateParams, CertifiedKey, KeyPair, generate_simple_self_signed};
    use rustls::server::WebPkiClientVerifier;
    use rustls::{RootCertStore, ServerConfig, ServerConnection};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::config::{Config, IntoConfig};
    use crate::error::ErrorKind;
    use crate::net::Stream;

    struct Server {
        port: u16,
        thread: JoinHandle<()>,
    }

    /// Answers one TLS connection by sending back two bytes; failures are the client's to tell.
    fn serve(made: &CertifiedKey<KeyPair>, client_root: Option<&rcgen::Certificate>) -> Server {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match client_root {
            None => builder.with_no_client_auth(),
            Some(root) => {
                let mut roots = RootCertStore::empty();
                roots.add(root.der().clone()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let config = builder
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        one_connection(move |mut tcp| {
            let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
            let mut two = [0; 2];
            if stream.read_exact(&mut two).is_ok() {
                stream.write_all(&two).unwrap();
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        })
    }

    fn one_connection(answer: impl FnOnce(std::net::TcpStream) + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || answer(listener.accept().unwrap().0));
        Server { port, thread }
    }

    fn certificate(name: &str) -> CertifiedKey<KeyPair> {
        generate_simple_self_signed([name.to_owned()]).unwrap()
    }

    async fn connect(server: &Server, tls: TlsConfig) -> Result<Stream> {
        let config = Config::new("localhost", server.port)
            .connect_timeout(Duration::from_secs(30))
            .tls(tls)
            .into_config()?;
        crate::net::connect(&config).await
    }

    async fn echoes(mut stream: Stream, server: Server) {
        stream.write_all(b"hi").await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"hi");
        server.thread.join().unwrap();
    }

    async fn fails(server: Server, tls: TlsConfig) -> String {
        let error = connect(&server, tls).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
        assert!(std::error::Error::source(&error).is_some());
        server.thread.join().unwrap();
        error.to_string()
    }

    fn trusting(made: &CertifiedKey<KeyPair>) -> TlsConfig {
        TlsConfig::new().root_certificates_pem(made.cert.pem())
    }

    #[tokio::test]
    async fn se_01_a_server_with_a_trusted_certificate_is_spoken_with() {
        let made = certificate("localhost");
        let server = serve(&made, None);
        let stream = connect(&server, trusting(&made)).await.unwrap();
        assert_eq!(
            stream.peer(),
            format!("127.0.0.1:{} (localhost) with TLS", server.port)
        );
        echoes(stream, server).await;
    }

    #[tokio::test]
    async fn se_01_a_certificate_that_is_not_trusted_is_refused() {
        let root_made_anew = certificate("localhost");
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "another root");
        let signing_key = KeyPair::generate().unwrap();
        let cert = params.self_signed(&signing_key).unwrap();
        for root in [root_made_anew, CertifiedKey { cert, signing_key }] {
            let text = fails(serve(&certificate("localhost"), None), trusting(&root)).await;
            assert!(
                text.contains("not trusted here") && text.contains("tls_ca="),
                "{text}"
            );
        }
    }

    #[tokio::test]
    async fn se_01_by_default_only_what_the_operating_system_trusts_is_accepted() {
        let server = serve(&certificate("localhost"), None);
        let error = connect(&server, TlsConfig::new()).await.unwrap_err();
        // A system without any trusted certificate says so before connecting.
        let why = match error.kind() {
            ErrorKind::Config => "the operating system's trusted certificates",
            _ => "not trusted here",
        };
        assert!(error.to_string().contains(why), "{error}");
    }

    #[tokio::test]
    async fn se_01_a_certificate_for_another_name_is_refused_unless_that_name_is_given() {
        let made = certificate("cache.example");
        let text = fails(serve(&made, None), trusting(&made)).await;
        assert!(
            text.contains("another name") && text.contains("tls_server_name="),
            "{text}"
        );

        let server = serve(&made, None);
        let tls = trusting(&made).server_name("cache.example");
        echoes(connect(&server, tls).await.unwrap(), server).await;
    }

    #[tokio::test]
    async fn an_expired_certificate_is_called_expired() {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        let signing_key = KeyPair::generate().unwrap();
        let cert = params.self_signed(&signing_key).unwrap();
        let made = CertifiedKey { cert, signing_key };
        let text = fails(serve(&made, None), trusting(&made)).await;
        assert!(text.contains("has expired"), "{text}");
    }

    #[tokio::test]
    async fn every_certificate_is_accepted_only_where_the_danger_is_named() {
        let made = certificate("cache.example");
        let server = serve(&made, None);
        let tls = TlsConfig::new().danger_accept_invalid_certificates();
        echoes(connect(&server, tls).await.unwrap(), server).await;
    }

    #[tokio::test]
    async fn se_01_a_client_certificate_is_shown_to_a_server_that_asks() {
        let (made, client) = (certificate("localhost"), certificate("client"));
        let server = serve(&made, Some(&client.cert));
        let tls = trusting(&made)
            .client_certificate_pem(client.cert.pem(), client.signing_key.serialize_pem());
        echoes(connect(&server, tls).await.unwrap(), server).await;
    }

    #[tokio::test]
    async fn a_server_without_tls_points_to_the_other_scheme() {
        let server = one_connection(|mut tcp| {
            let mut hello = [0; 16];
            tcp.read_exact(&mut hello).unwrap();
            tcp.write_all(b"-ERR unknown command\r\n").unwrap();
            // Until the client has read it and gone, so that no reset overtakes it.
            let _ = tcp.read_to_end(&mut Vec::new());
        });
        let text = fails(server, trusting(&certificate("localhost"))).await;
        assert!(text.contains("redis:// for rediss://"), "{text}");
    }

    #[tokio::test]
    async fn a_server_that_hangs_up_in_the_handshake_points_to_the_other_scheme() {
        let text = fails(one_connection(drop), trusting(&certificate("localhost"))).await;
        assert!(text.contains("redis:// for rediss://"), "{text}");
    }

    #[tokio::test]
    async fn a_server_that_never_answers_the_handshake_is_given_up_in_time() {
        let server = one_connection(|mut tcp| {
            let _ = tcp.read_to_end(&mut Vec::new());
        });
        let config = Config::new("127.0.0.1", server.port)
            .connect_timeout(Duration::from_millis(200))
            .tls(trusting(&certificate("localhost")))
            .into_config()
            .unwrap();
        let error = crate::net::connect(&config).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert!(error.to_string().contains("within 200ms"), "{error}");
        assert!(
            error.to_string().contains("redis:// for rediss://"),
            "{error}"
        );
        server.thread.join().unwrap();
    }
}
