use std::fs;

use crate::Environment;

/// Where Linux keeps the host's name.
const HOST_NAME_FILE: &str = "/proc/sys/kernel/hostname";
const HOST_NAME_VARIABLE: &str = "HOSTNAME";

/// Makes ring the process' TLS provider, which every outgoing HTTPS call needs. Harmless when it is called again.
pub fn install_tls() {
    // `Err` says that a provider is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The host's name, for people: the kernel's, else the one in the environment. No two processes need differ in it.
pub fn host_name(environment: &Environment) -> String {
    let kernel = fs::read_to_string(HOST_NAME_FILE).unwrap_or_default();
    let names = [kernel.trim(), environment.get(HOST_NAME_VARIABLE).unwrap_or_default(), "localhost"];
    names.into_iter().find(|name| !name.is_empty()).unwrap_or_default().to_owned()
}
