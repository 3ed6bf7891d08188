//! TLS towards clients: certificate and key from PEM files, optional client certificates, and reload while serving. What a
//! client's certificate means is the gateway's matter; here it is verified and named by its digest.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tokio_rustls::TlsAcceptor;

/// Where the server side of TLS finds its files. All are PEM.
#[derive(Debug, Clone)]
pub struct ServerTlsFiles {
    /// The certificate chain, the server's own first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities that client certificates are verified against; no client certificate is asked for without.
    pub client_authorities: Option<PathBuf>,
    /// Whether a client without a certificate is refused in the handshake.
    pub client_certificate_required: bool,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read, or holds no PEM of the kind wanted.
    #[error("cannot read {what} from `{path}`: {detail}")]
    File {
        /// What was looked for.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system or the parser said.
        detail: String,
    },
    /// Certificate and key do not fit, or the library refuses them.
    #[error(
        "certificate `{certificate}` with key `{key}`: {detail}, hint: the key must belong to the first certificate of the file"
    )]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What the library said.
        detail: String,
    },
    /// The client authorities are of no use.
    #[error("client authorities `{path}`: {detail}")]
    Authorities {
        /// Their file.
        path: PathBuf,
        /// What the library said.
        detail: String,
    },
    /// A client certificate is required, and nothing to verify it against is named.
    #[error("client certificates are required, hint: name the authorities that issue them")]
    NoAuthorities,
}

/// The server side of TLS, ready to use. New connections use what was loaded last; open ones stay as they are.
pub struct ServerTls {
    files: ServerTlsFiles,
    current: RwLock<Arc<ServerConfig>>,
}

impl ServerTls {
    /// Loads the files.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn load(files: ServerTlsFiles) -> Result<Self, TlsError> {
        let current = RwLock::new(Arc::new(config(&files)?));
        Ok(Self { files, current })
    }

    /// Loads the files again, for certificates that were renewed. When that fails, what was loaded before stays.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = Arc::new(config(&self.files)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// For the next connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(current.clone())
    }
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerTls")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// SHA-256 of the verified client certificate.
pub(crate) fn client_certificate_sha256(session: &ServerConnection) -> Option<[u8; 32]> {
    let certificate = session.peer_certificates()?.first()?;
    Some(portcullis_ledger::digest(certificate))
}

fn config(files: &ServerTlsFiles) -> Result<ServerConfig, TlsError> {
    let chain = certificates("a certificate", &files.certificate)?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unreadable("a private key", &files.key, &error))?;
    let pair = |error: rustls::Error| TlsError::Pair {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        detail: error.to_string(),
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(pair)?;
    let builder = match &files.client_authorities {
        None if files.client_certificate_required => return Err(TlsError::NoAuthorities),
        None => builder.with_no_client_auth(),
        Some(path) => {
            let refused = |detail: String| TlsError::Authorities {
                path: path.clone(),
                detail,
            };
            let mut roots = RootCertStore::empty();
            for authority in certificates("authorities", path)? {
                roots.add(authority).map_err(|error| refused(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match files.client_certificate_required {
                true => verifier,
                false => verifier.allow_unauthenticated(),
            };
            let verifier = verifier.build().map_err(|error| refused(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(what, path, &error))?;
    match found.is_empty() {
        false => Ok(found),
        true => Err(TlsError::File {
            what,
            path: path.to_owned(),
            detail: "no certificate in it".to_owned(),
        }),
    }
}

fn unreadable(what: &'static str, path: &Path, error: &rustls::pki_types::pem::Error) -> TlsError {
    TlsError::File {
        what,
        path: path.to_owned(),
        detail: error.to_string(),
    }
}
