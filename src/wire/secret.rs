//! Proof of a shared secret: HMAC-SHA256 over everything both sides have said so far.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Bytes of a proof.
pub(super) const PROOF_BYTES: usize = 32;

/// The proof that its maker knows `secret`. `label` differs for each direction and purpose, so that
/// a proof sent back to its maker proves nothing; `transcript` holds a nonce of each side.
pub(super) fn prove(secret: &[u8], label: &str, transcript: &[&[u8]]) -> [u8; PROOF_BYTES] {
    mac(secret, label, transcript)
        .finalize()
        .into_bytes()
        .into()
}

/// Checks a proof in constant time.
pub(super) fn verify(secret: &[u8], label: &str, transcript: &[&[u8]], proof: &[u8]) -> bool {
    mac(secret, label, transcript).verify_slice(proof).is_ok()
}

fn mac(secret: &[u8], label: &str, transcript: &[&[u8]]) -> Hmac<Sha256> {
    // Hashing first makes a key of one length out of any secret, so that this cannot fail.
    let mut key = [0; 64];
    key[..32].copy_from_slice(&Sha256::digest(secret));
    let mut mac = Hmac::<Sha256>::new(&key.into());
    for part in [label.as_bytes()].iter().chain(transcript) {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part);
    }
    mac
}

/// SHA-256 of `text`.
pub(super) fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_secret_label_and_transcript_verify() {
        let proof = prove(b"secret", "a", &[b"x", b"yz"]);
        assert!(verify(b"secret", "a", &[b"x", b"yz"], &proof));
        assert!(!verify(b"Secret", "a", &[b"x", b"yz"], &proof));
        assert!(!verify(b"secret", "b", &[b"x", b"yz"], &proof));
        assert!(!verify(b"secret", "a", &[b"xy", b"z"], &proof));
        assert!(!verify(b"secret", "a", &[b"x", b"yz"], &proof[..31]));
        assert!(!verify(b"secret", "a", &[b"x", b"yz"], b""));
    }
}
