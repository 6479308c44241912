//! A stand-in for the redact module, with its signatures only.
use sha2::{Digest, Sha256};

pub struct Redacted(String, u32);
impl Redacted {
    pub fn as_str(&self) -> &str {
        &self.0
    }
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u32)> {
        (self.1 > 0).then_some(("EMAIL_ADDRESS", self.1)).into_iter()
    }
}
#[derive(Default)]
pub struct Redactor(());
impl Redactor {
    pub fn text(&self, text: &str) -> Redacted {
        let found = text.matches("jane@example.com").count();
        let out = if found == 0 {
            text.to_owned()
        } else {
            text.replace("jane@example.com", "[EMAIL_ADDRESS:abcdefgh]")
        };
        Redacted(out, u32::try_from(found).unwrap_or(u32::MAX))
    }
    pub fn json(&self, text: &str) -> Option<Redacted> {
        serde_json::from_str::<serde_json::Value>(text).ok()?;
        Some(self.text(text))
    }
}
pub struct TenantSecret([u8; 32]);
impl TenantSecret {
    pub fn derive(master: &[u8], tenant: &str) -> Self {
        Self(Sha256::new().chain_update(master).chain_update(tenant.as_bytes()).finalize().into())
    }
    pub fn hmac_hex(&self, purpose: &str, data: &[u8]) -> String {
        let sum = Sha256::new()
            .chain_update(self.0)
            .chain_update(purpose.as_bytes())
            .chain_update([0])
            .chain_update(data)
            .finalize();
        sum.iter().map(|b| format!("{b:02x}")).collect()
    }
}
