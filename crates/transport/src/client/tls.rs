//! TLS towards servers: whose certificates are believed, and which certificate we show. Files are read once, when a target is
//! built. Must not know what is sent over a connection.

use rustls::client::WantsClientCert;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use rustls_platform_verifier::BuilderVerifierExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How TLS connections to one server are made. The default: the operating system's roots, no certificate of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// PEM file of the roots to believe in place of the operating system's.
    pub ca_file: Option<PathBuf>,
    /// What we show when the server asks who we are.
    pub client_certificate: Option<ClientCertificate>,
}

/// A certificate of ours, for servers that ask for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// PEM file of the certificate and its chain, leaf first.
    pub certificate_file: PathBuf,
    /// PEM file of its private key.
    pub key_file: PathBuf,
}

/// Why TLS cannot be set up as configured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing or holds not what it should.
    #[error("cannot read {what} from `{file}`: {problem} (hint: it must be a PEM file that this user may read)")]
    File {
        /// What was looked for.
        what: &'static str,
        /// As configured.
        file: String,
        /// What the reader said.
        problem: String,
    },
    /// The pieces do not fit together.
    #[error(
        "cannot set up TLS: {0} (hint: do the client certificate and its key belong together? does the system have root certificates?)"
    )]
    Setup(#[from] rustls::Error),
}

/// The configuration for `options`. All targets with the default options share one, so that they share connections.
pub(super) fn client_config(options: &TlsOptions) -> Result<Arc<ClientConfig>, TlsError> {
    static SHARED: Mutex<Option<Arc<ClientConfig>>> = Mutex::new(None);
    if *options != TlsOptions::default() {
        return build(options).map(Arc::new);
    }
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(config) = &*shared {
        return Ok(config.clone());
    }
    let config = Arc::new(build(options)?);
    *shared = Some(config.clone());
    Ok(config)
}

fn build(options: &TlsOptions) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder: ConfigBuilder<ClientConfig, WantsClientCert> = match &options.ca_file {
        None => builder.with_platform_verifier()?,
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("root certificates", file)? {
                roots.add(certificate)?;
            }
            builder.with_root_certificates(roots)
        }
    };
    let mut config = match &options.client_certificate {
        None => builder.with_no_client_auth(),
        Some(ours) => {
            let chain = certificates("the client certificate", &ours.certificate_file)?;
            let key = PrivateKeyDer::from_pem_file(&ours.key_file)
                .map_err(|error| unreadable("the client key", &ours.key_file, &error))?;
            builder.with_client_auth_cert(chain, key)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(what: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(unreadable(what, file, &"there is none in it")),
        Ok(found) => Ok(found),
        Err(error) => Err(unreadable(what, file, &error)),
    }
}

fn unreadable(what: &'static str, file: &Path, problem: &dyn std::fmt::Display) -> TlsError {
    TlsError::File {
        what,
        file: file.display().to_string(),
        problem: problem.to_string(),
    }
}
