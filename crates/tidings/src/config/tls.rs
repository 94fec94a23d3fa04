//! What TLS trusts, and who we say we are.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt;

use super::Secret;
use crate::error::{Error, Result};

/// How a TLS connection is checked, given to [`Config::tls`](crate::Config::tls).
///
/// Unless told otherwise, the server's certificate has to be trusted by the operating system and be for the
/// host of the URL. Setters do not fail: files are read, and mistakes refused, by `connect`.
///
/// ```no_run
/// use tidings::{Config, TlsConfig};
///
/// let tls = TlsConfig::new()
///     .root_certificates_file("ca.pem")
///     .client_certificate_file("client.pem", "client.key");
/// let config = Config::new("cache.example", 6380).tls(tls);
/// ```
///
/// In a URL: `rediss://cache.example:6380?tls_ca=ca.pem&tls_cert=client.pem&tls_key=client.key`.
#[derive(Clone, Default)]
pub struct TlsConfig {
    /// Empty: what the operating system trusts.
    roots: Vec<Pem>,
    accept_invalid: bool,
    identity: Option<(Pem, Pem)>,
    server_name: Option<String>,
    /// Stands for all of the above but the server's name.
    rustls: Option<Arc<ClientConfig>>,
}

impl TlsConfig {
    /// Trusts what the operating system trusts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a configuration of rustls as it is. Only [`server_name`](TlsConfig::server_name) can be added to it.
    pub fn from_rustls(config: Arc<ClientConfig>) -> Self {
        Self {
            rustls: Some(config),
            ..Self::default()
        }
    }

    /// Trusts these certificates (PEM, one or more) *in place of* those of the operating system. Called again,
    /// it adds to them.
    #[must_use]
    pub fn root_certificates_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots.push(Pem::Text(Secret::new(pem.into())));
        self
    }

    /// The same, from a file that `connect` reads. In a URL: `tls_ca=`.
    #[must_use]
    pub fn root_certificates_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.roots.push(Pem::File(path.into()));
        self
    }

    /// Shows the server a certificate: the chain, the client's own first, and the private key, both PEM.
    #[must_use]
    pub fn client_certificate_pem(
        mut self,
        chain: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        let text = |pem| Pem::Text(Secret::new(pem));
        self.identity = Some((text(chain.into()), text(key.into())));
        self
    }

    /// The same, from files that `connect` reads. In a URL: `tls_cert=` and `tls_key=`.
    #[must_use]
    pub fn client_certificate_file(
        mut self,
        chain: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.identity = Some((Pem::File(chain.into()), Pem::File(key.into())));
        self
    }

    /// The name that the server's certificate has to be for, where it is not the host connected to. In a URL:
    /// `tls_server_name=`.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Accepts every certificate, whoever it is from and whatever it is for.
    ///
    /// The connection is then encrypted and **not protected**: whoever stands between can read and change
    /// everything, passwords too. For tests; otherwise trust the server's own root with
    /// [`root_certificates_file`](TlsConfig::root_certificates_file).
    #[must_use]
    pub fn danger_accept_invalid_certificates(mut self) -> Self {
        self.accept_invalid = true;
        self
    }

    /// Reads the files and builds what rustls needs, once for all connections of a client.
    pub(super) fn resolved(self) -> Result<Self> {
        let config = self.client_config()?;
        Ok(Self {
            server_name: self.server_name,
            ..Self::from_rustls(config)
        })
    }

    /// Cheap on a configuration that came through [`IntoConfig`](crate::IntoConfig).
    pub(crate) fn client_config(&self) -> Result<Arc<ClientConfig>> {
        if let Some(name) = &self.server_name {
            name_of_server(name)?;
        }
        let Some(config) = &self.rustls else {
            return Ok(Arc::new(self.build()?));
        };
        if self.accept_invalid || !self.roots.is_empty() || self.identity.is_some() {
            return Err(Error::config(
                "`TlsConfig::from_rustls` takes a configuration as it is: set roots, certificates and checks in it",
            ));
        }
        Ok(Arc::clone(config))
    }

    /// The name to check the certificate of `host` against.
    pub(crate) fn name_for(&self, host: &str) -> Result<ServerName<'static>> {
        name_of_server(self.server_name.as_deref().unwrap_or(host))
    }

    fn build(&self) -> Result<ClientConfig> {
        // Named here, because the default of the process may be another one, none, or two in dispute.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::config("TLS cannot be set up").with_source(error))?;
        let builder = if self.accept_invalid {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
        } else if self.roots.is_empty() {
            builder.with_platform_verifier().map_err(|error| {
                Error::config(
                    "the operating system's trusted certificates cannot be used: install them, or give your \
                     own with tls_ca= or `TlsConfig::root_certificates_file`",
                )
                .with_source(error)
            })?
        } else {
            builder.with_root_certificates(self.root_store()?)
        };
        let Some((chain, key)) = &self.identity else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = chain.certificates("the client's certificate")?;
        let key = key.private_key()?;
        builder.with_client_auth_cert(chain, key).map_err(|error| {
            Error::config("the client's certificate and its private key do not fit each other")
                .with_source(error)
        })
    }

    fn root_store(&self) -> Result<RootCertStore> {
        let mut store = RootCertStore::empty();
        for pem in &self.roots {
            for certificate in pem.certificates("the trusted root")? {
                store.add(certificate).map_err(|error| {
                    Error::config("a certificate given as a trusted root cannot be one")
                        .with_source(error)
                })?;
            }
        }
        Ok(store)
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig")
            .field("roots", &self.roots)
            .field("accept_invalid", &self.accept_invalid)
            .field("identity", &self.identity)
            .field("server_name", &self.server_name)
            // Theirs may print whatever its owner put into it.
            .field("rustls", &self.rustls.as_ref().map(Secret::new))
            .finish()
    }
}

fn name_of_server(name: &str) -> Result<ServerName<'static>> {
    ServerName::try_from(name.to_owned()).map_err(|error| {
        Error::config(
            "the host is not a name that a certificate can be for: give the name with tls_server_name= or \
             `TlsConfig::server_name`",
        )
        .with_source(error)
    })
}

#[derive(Debug, Clone)]
enum Pem {
    /// Not shown: a private key, or too long to read.
    Text(Secret<Vec<u8>>),
    File(PathBuf),
}

impl Pem {
    fn read(&self) -> Result<Vec<u8>> {
        match self {
            Self::Text(text) => Ok(text.expose().clone()),
            Self::File(path) => std::fs::read(path).map_err(|error| {
                Error::config(format!("the file {} cannot be read", shown(path))).with_source(error)
            }),
        }
    }

    /// `what` they are, for the error.
    fn certificates(&self, what: &str) -> Result<Vec<CertificateDer<'static>>> {
        let wrong =
            || format!("{what} ({self}) is not a certificate in PEM (-----BEGIN CERTIFICATE-----)");
        let certificates = CertificateDer::pem_slice_iter(&self.read()?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Error::config(wrong()).with_source(error))?;
        if certificates.is_empty() {
            return Err(Error::config(wrong()));
        }
        Ok(certificates)
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>> {
        // Its error is not passed on: it may hold a line of the key.
        PrivateKeyDer::from_pem_slice(&self.read()?).map_err(|_| {
            Error::config(format!(
                "the client's private key ({self}) is not one in PEM without a passphrase \
                 (-----BEGIN PRIVATE KEY-----)"
            ))
        })
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("given as text"),
            Self::File(path) => f.write_str(&shown(path)),
        }
    }
}

fn shown(path: &Path) -> String {
    format!("`{}`", path.display())
}

/// Asks for no name and no root. Signatures are still checked: whoever answers holds the key of the
/// certificate shown.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, IntoConfig};
    use crate::error::ErrorKind;

    fn refused(tls: TlsConfig) -> String {
        let error = Config::new("localhost", 6379)
            .tls(tls)
            .into_config()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    }

    fn self_signed() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn certificates_are_given_as_text() {
        let (certificate, key) = self_signed();
        let tls = TlsConfig::new()
            .root_certificates_pem(certificate.clone())
            .client_certificate_pem(certificate, key)
            .server_name("other.example");
        let config = Config::new("10.0.0.1", 6379)
            .tls(tls)
            .into_config()
            .unwrap();
        let name = config.tls_config().unwrap().name_for("10.0.0.1").unwrap();
        assert_eq!(name.to_str(), "other.example");
    }

    #[test]
    fn certificates_are_read_from_the_files_of_a_url() {
        let folder = std::env::temp_dir().join(format!("tidings-tls-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (certificate, key) = self_signed();
        let (pem, pem_key) = (folder.join("a.pem"), folder.join("a.key"));
        std::fs::write(&pem, certificate).unwrap();
        std::fs::write(&pem_key, key).unwrap();
        let url = format!(
            "rediss://localhost?tls_ca={0}&tls_cert={0}&tls_key={1}",
            pem.display(),
            pem_key.display()
        );
        let config = url.into_config();
        std::fs::remove_dir_all(&folder).unwrap();
        // Everything was read: the files are not needed any more.
        config
            .unwrap()
            .tls_config()
            .unwrap()
            .client_config()
            .unwrap();
    }

    #[test]
    fn a_file_that_is_missing_or_of_another_kind_is_named() {
        let missing = refused(TlsConfig::new().root_certificates_file("/nonexistent/ca.pem"));
        assert!(
            missing.contains("`/nonexistent/ca.pem` cannot be read"),
            "{missing}"
        );
        let (certificate, key) = self_signed();
        assert!(refused(TlsConfig::new().root_certificates_pem("nonsense")).contains("PEM"));
        assert!(refused(TlsConfig::new().root_certificates_pem(key.clone())).contains("PEM"));
        let swapped = TlsConfig::new()
            .root_certificates_pem(certificate.clone())
            .client_certificate_pem(key, certificate);
        assert!(refused(swapped).contains("the client's certificate"));
    }

    #[test]
    fn a_certificate_and_the_key_of_another_are_refused() {
        let (certificate, _) = self_signed();
        let (_, key) = self_signed();
        let tls = TlsConfig::new()
            .root_certificates_pem(certificate.clone())
            .client_certificate_pem(certificate, key);
        assert!(refused(tls).contains("do not fit"));
    }

    #[test]
    fn se_01_neither_debug_nor_an_error_shows_a_key() {
        let (certificate, key) = self_signed();
        let line = key.lines().nth(1).unwrap();
        let tls = TlsConfig::new().client_certificate_pem(certificate.clone(), key.clone());
        assert!(!format!("{tls:?}").contains(line));
        let broken = key.replace("-----END", "----END");
        let tls = TlsConfig::new()
            .root_certificates_pem(certificate.clone())
            .client_certificate_pem(certificate, broken);
        let error = Config::new("localhost", 1)
            .tls(tls)
            .into_config()
            .unwrap_err();
        assert!(!format!("{error} {error:?}").contains(line));
    }

    #[test]
    fn a_configuration_of_rustls_is_taken_as_it_is_or_refused() {
        let (certificate, _) = self_signed();
        let theirs = TlsConfig::new()
            .root_certificates_pem(certificate)
            .client_config()
            .unwrap();
        let tls = TlsConfig::from_rustls(Arc::clone(&theirs)).server_name("cache.example");
        let config = Config::new("localhost", 6379)
            .tls(tls.clone())
            .into_config()
            .unwrap();
        assert!(Arc::ptr_eq(
            &config.tls_config().unwrap().client_config().unwrap(),
            &theirs
        ));
        assert!(refused(tls.danger_accept_invalid_certificates()).contains("as it is"));
    }

    #[test]
    fn a_server_name_that_no_certificate_has_is_refused() {
        assert!(refused(TlsConfig::new().server_name("two words")).contains("tls_server_name"));
    }
}
