use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::temp::TempFolder;

/// Certificates made on the spot: an authority, a server's for 127.0.0.1 and localhost, and a
/// client's, each as PEM text and as a file. They last as long as the server they were made for.
pub struct Certificates {
    ca: PemFile,
    server: PemFile,
    server_key: PemFile,
    client: PemFile,
    client_key: PemFile,
}

impl Certificates {
    pub(crate) fn make(folder: &TempFolder) -> io::Result<Self> {
        let (issuer, ca) = authority().map_err(io::Error::other)?;
        let (server, server_key) = leaf(&issuer, "server", ExtendedKeyUsagePurpose::ServerAuth)
            .map_err(io::Error::other)?;
        let (client, client_key) = leaf(&issuer, "client", ExtendedKeyUsagePurpose::ClientAuth)
            .map_err(io::Error::other)?;
        let file = |name, pem| PemFile::write(folder.file(name), pem);
        Ok(Self {
            ca: file("ca.pem", ca)?,
            server: file("server.pem", server)?,
            server_key: file("server-key.pem", server_key)?,
            client: file("client.pem", client)?,
            client_key: file("client-key.pem", client_key)?,
        })
    }

    /// The authority that signed the others: what a client must trust.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca.pem
    }

    /// The file of [`ca_pem`](Self::ca_pem).
    #[must_use]
    pub fn ca_path(&self) -> &Path {
        &self.ca.path
    }

    /// The server's certificate.
    #[must_use]
    pub fn server_pem(&self) -> &str {
        &self.server.pem
    }

    /// The file of [`server_pem`](Self::server_pem).
    #[must_use]
    pub fn server_path(&self) -> &Path {
        &self.server.path
    }

    /// The file of the server's key.
    #[must_use]
    pub fn server_key_path(&self) -> &Path {
        &self.server_key.path
    }

    /// A certificate for clients that must show one.
    #[must_use]
    pub fn client_pem(&self) -> &str {
        &self.client.pem
    }

    /// The file of [`client_pem`](Self::client_pem).
    #[must_use]
    pub fn client_path(&self) -> &Path {
        &self.client.path
    }

    /// The key of [`client_pem`](Self::client_pem).
    #[must_use]
    pub fn client_key_pem(&self) -> &str {
        &self.client_key.pem
    }

    /// The file of [`client_key_pem`](Self::client_key_pem).
    #[must_use]
    pub fn client_key_path(&self) -> &Path {
        &self.client_key.path
    }
}

/// Without the keys.
impl fmt::Debug for Certificates {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Certificates")
            .field("ca", &self.ca.path)
            .finish_non_exhaustive()
    }
}

struct PemFile {
    pem: String,
    path: PathBuf,
}

impl PemFile {
    fn write(path: PathBuf, pem: String) -> io::Result<Self> {
        fs::write(&path, &pem)?;
        Ok(Self { pem, path })
    }
}

fn authority() -> Result<(Issuer<'static, KeyPair>, String), rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, "Tidings test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    let pem = params.self_signed(&key)?.pem();
    Ok((Issuer::new(params, key), pem))
}

fn leaf(
    issuer: &Issuer<'static, KeyPair>,
    name: &str,
    purpose: ExtendedKeyUsagePurpose,
) -> Result<(String, String), rcgen::Error> {
    let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    params
        .distinguished_name
        .push(DnType::CommonName, format!("Tidings test {name}"));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    Ok((certificate.pem(), key.serialize_pem()))
}
