//! What tokens of vendors look like: a row each. How they are found is in `token`.

use crate::redact::entity::Entity;

/// What must follow a prefix.
pub(super) struct Vendor {
    pub(super) prefix: &'static [u8],
    pub(super) entity: Entity,
    /// Fewest characters after the prefix.
    pub(super) least: usize,
    pub(super) body: Body,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// Letters, digits, `-`, `_`; made at random.
    Random,
    /// Letters, digits, `-`, `_`, whatever they are.
    UrlSafe,
    /// Letters, digits and `_`.
    Alphanumeric,
    /// As `UrlSafe`, and dots.
    Dotted,
    /// Lower-case hexadecimal, `-` between.
    Hex,
    /// Base64 with its padding; `.` and `-` may join parts.
    Base64,
}

const fn row(prefix: &'static str, entity: Entity, least: usize, body: Body) -> Vendor {
    Vendor { prefix: prefix.as_bytes(), entity, least, body }
}

const fn other(prefix: &'static str, least: usize, body: Body) -> Vendor {
    row(prefix, Entity::VendorToken, least, body)
}

/// By their first byte; where one prefix begins another, the longer stands first.
pub(super) const VENDORS: &[Vendor] = &[
    other("A3-", 30, Body::UrlSafe),
    row("ABSK", Entity::AwsSecretKey, 80, Body::Base64),
    other("AGE-SECRET-KEY-1", 40, Body::UrlSafe),
    other("AKCp", 60, Body::Random),
    other("AKID", 32, Body::Random),
    row("AIza", Entity::GoogleApiKey, 30, Body::UrlSafe),
    other("API-", 26, Body::Random),
    row("AQ.", Entity::GoogleApiKey, 40, Body::Random),
    other("ATATT", 60, Body::Base64),
    other("ATBB", 24, Body::Random),
    other("ATCTT", 60, Body::Base64),
    other("CCIPAT_", 40, Body::Alphanumeric),
    other("CFPAT-", 40, Body::Random),
    other("CLOJARS_", 50, Body::Hex),
    other("EAAA", 56, Body::Random),
    other("EAAB", 80, Body::Random),
    other("EAAC", 80, Body::Random),
    other("EAAG", 80, Body::Random),
    other("EAAM", 80, Body::Random),
    other("EZAK", 50, Body::Random),
    other("EZTK", 50, Body::Random),
    other("FLWPUBK_TEST-", 30, Body::UrlSafe),
    other("FLWSECK-", 30, Body::UrlSafe),
    other("FLWSECK_TEST-", 30, Body::UrlSafe),
    row("GOCSPX-", Entity::GoogleApiKey, 24, Body::UrlSafe),
    row("GR1348941", Entity::GitlabToken, 20, Body::UrlSafe),
    other("HRKU-", 36, Body::UrlSafe),
    other("LTAI", 16, Body::Random),
    other("NRAK-", 24, Body::Random),
    other("NRAA-", 24, Body::Random),
    other("NRII-", 24, Body::UrlSafe),
    other("NRJS-", 19, Body::Hex),
    other("PMAK-", 50, Body::Hex),
    row("SG.", Entity::SendgridKey, 40, Body::Dotted),
    other("access-development-", 36, Body::Hex),
    other("access-production-", 36, Body::Hex),
    other("access-sandbox-", 36, Body::Hex),
    other("access_token$production$", 40, Body::Dotted),
    other("access_token$sandbox$", 40, Body::Dotted),
    row("api_org_", Entity::HfToken, 30, Body::Alphanumeric),
    other("b_", 44, Body::Random),
    other("bkua_", 40, Body::Hex),
    other("cio", 32, Body::Random),
    other("csk-", 40, Body::Random),
    other("dapi", 32, Body::Hex),
    other("dckr_oat_", 24, Body::UrlSafe),
    other("dckr_pat_", 24, Body::UrlSafe),
    other("doo_v1_", 60, Body::Hex),
    other("dop_v1_", 60, Body::Hex),
    other("dor_v1_", 60, Body::Hex),
    other("dp.", 40, Body::Dotted),
    other("duffel_live_", 40, Body::UrlSafe),
    other("duffel_test_", 40, Body::UrlSafe),
    other("figd_", 36, Body::UrlSafe),
    other("fio-u-", 60, Body::UrlSafe),
    other("fm1a_", 60, Body::Base64),
    other("fm1r_", 60, Body::Base64),
    other("fm2_", 60, Body::Base64),
    other("fo1_", 40, Body::UrlSafe),
    other("fw_", 22, Body::Random),
    row("gho_", Entity::GithubToken, 30, Body::Alphanumeric),
    row("ghp_", Entity::GithubToken, 30, Body::Alphanumeric),
    row("ghr_", Entity::GithubToken, 30, Body::Alphanumeric),
    row("ghs_", Entity::GithubToken, 30, Body::Alphanumeric),
    row("ghu_", Entity::GithubToken, 30, Body::Alphanumeric),
    row("github_pat_", Entity::GithubToken, 30, Body::UrlSafe),
    row("glagent-", Entity::GitlabToken, 40, Body::UrlSafe),
    row("glcbt-", Entity::GitlabToken, 20, Body::UrlSafe),
    other("glc_", 32, Body::Base64),
    row("gldt-", Entity::GitlabToken, 20, Body::UrlSafe),
    row("glffct-", Entity::GitlabToken, 20, Body::UrlSafe),
    row("glft-", Entity::GitlabToken, 20, Body::UrlSafe),
    row("glimt-", Entity::GitlabToken, 24, Body::UrlSafe),
    row("gloas-", Entity::GitlabToken, 40, Body::UrlSafe),
    row("glpat-", Entity::GitlabToken, 20, Body::Dotted),
    row("glptt-", Entity::GitlabToken, 40, Body::UrlSafe),
    row("glrtr-", Entity::GitlabToken, 20, Body::UrlSafe),
    row("glrt-", Entity::GitlabToken, 20, Body::Dotted),
    other("glsa_", 36, Body::Alphanumeric),
    row("glsoat-", Entity::GitlabToken, 20, Body::UrlSafe),
    other("gsk_", 40, Body::Alphanumeric),
    other("hcaik_", 50, Body::Random),
    other("hcxik_", 50, Body::Random),
    row("hf_", Entity::HfToken, 30, Body::Alphanumeric),
    other("hvb.", 24, Body::UrlSafe),
    other("hvr.", 24, Body::UrlSafe),
    other("hvs.", 24, Body::UrlSafe),
    other("ico-", 32, Body::Random),
    other("key-", 32, Body::Hex),
    other("lin_api_", 32, Body::Alphanumeric),
    other("lin_oauth_", 32, Body::Alphanumeric),
    other("lsv2_", 30, Body::UrlSafe),
    other("napi_", 40, Body::Alphanumeric),
    other("nfp_", 32, Body::Alphanumeric),
    row("npm_", Entity::NpmToken, 30, Body::Alphanumeric),
    other("ntn_", 40, Body::Alphanumeric),
    other("nvapi-", 40, Body::Random),
    other("ops_eyJ", 100, Body::Base64),
    other("oy2", 43, Body::Random),
    other("p8e-", 32, Body::Random),
    other("pat-eu1-", 36, Body::Hex),
    other("pat-na1-", 36, Body::Hex),
    other("pat-na2-", 36, Body::Hex),
    other("pcsk_", 30, Body::UrlSafe),
    other("phc_", 36, Body::Alphanumeric),
    other("phx_", 36, Body::Alphanumeric),
    other("pk_", 32, Body::Random),
    other("pnb_", 32, Body::Alphanumeric),
    other("pnu_", 32, Body::Alphanumeric),
    other("pplx-", 32, Body::Random),
    other("pscale_oauth_", 32, Body::Dotted),
    other("pscale_pw_", 32, Body::Dotted),
    other("pscale_tkn_", 32, Body::Dotted),
    other("pul-", 40, Body::Hex),
    row("pypi-", Entity::PypiToken, 32, Body::UrlSafe),
    other("r8_", 30, Body::Alphanumeric),
    other("rdme_", 60, Body::Alphanumeric),
    other("re_", 24, Body::Random),
    row("rk_live_", Entity::StripeKey, 16, Body::Alphanumeric),
    row("rk_test_", Entity::StripeKey, 16, Body::Alphanumeric),
    other("rnd_", 24, Body::Random),
    other("rubygems_", 40, Body::Hex),
    other("sb_secret_", 24, Body::UrlSafe),
    other("sbp_", 40, Body::Hex),
    other("sdk-", 36, Body::Hex),
    other("secret_", 40, Body::Random),
    other("sgp_", 40, Body::Alphanumeric),
    other("sha256~", 40, Body::UrlSafe),
    other("shippo_live_", 40, Body::Hex),
    other("shippo_test_", 40, Body::Hex),
    other("shpat_", 32, Body::Hex),
    other("shpca_", 32, Body::Hex),
    other("shppa_", 32, Body::Hex),
    other("shpss_", 32, Body::Hex),
    row("sk-ant-", Entity::AnthropicKey, 16, Body::Random),
    other("sk-lf-", 36, Body::Hex),
    other("sk-or-v1-", 40, Body::Hex),
    row("sk-", Entity::OpenaiKey, 20, Body::Random),
    row("sk_live_", Entity::StripeKey, 16, Body::Alphanumeric),
    row("sk_org_", Entity::StripeKey, 16, Body::Alphanumeric),
    row("sk_test_", Entity::StripeKey, 16, Body::Alphanumeric),
    other("sk_", 40, Body::Hex),
    other("sl.", 80, Body::Random),
    other("slk_", 40, Body::Hex),
    other("sm_pat_", 16, Body::Alphanumeric),
    other("sntrys_", 40, Body::Base64),
    other("sntryu_", 60, Body::Hex),
    other("sq0atp-", 22, Body::UrlSafe),
    other("sq0csp-", 32, Body::UrlSafe),
    other("sqa_", 40, Body::Hex),
    other("sqp_", 40, Body::Hex),
    other("squ_", 40, Body::Hex),
    row("tg-", Entity::TollgateKey, 24, Body::UrlSafe),
    other("tfp_", 40, Body::UrlSafe),
    other("tk-us-", 40, Body::UrlSafe),
    other("tskey-", 24, Body::Random),
    other("tvly-", 28, Body::Random),
    other("v1.0-", 100, Body::Hex),
    row("whsec_", Entity::StripeKey, 24, Body::Base64),
    other("xai-", 40, Body::Random),
    row("xapp-", Entity::SlackToken, 16, Body::UrlSafe),
    other("xkeysib-", 60, Body::UrlSafe),
    row("xoxa-", Entity::SlackToken, 16, Body::UrlSafe),
    row("xoxb-", Entity::SlackToken, 16, Body::UrlSafe),
    row("xoxc-", Entity::SlackToken, 16, Body::UrlSafe),
    row("xoxd-", Entity::SlackToken, 16, Body::UrlSafe),
    row("xoxe-", Entity::SlackToken, 16, Body::UrlSafe),
    row("xoxe.xoxb-", Entity::SlackToken, 16, Body::UrlSafe),
    row("xoxe.xoxp-", Entity::SlackToken, 16, Body::UrlSafe),
    row("xoxo-", Entity::SlackToken, 16, Body::UrlSafe),
    row("xoxp-", Entity::SlackToken, 16, Body::UrlSafe),
    row("xoxr-", Entity::SlackToken, 16, Body::UrlSafe),
    row("xoxs-", Entity::SlackToken, 16, Body::UrlSafe),
    row("ya29.", Entity::GoogleApiKey, 40, Body::UrlSafe),
];

/// For each byte: the row at which the prefixes that begin with it begin.
static BEGINNINGS: [u8; 257] = beginnings();

const fn beginnings() -> [u8; 257] {
    let mut table = [0_u8; 257];
    let (mut byte, mut row) = (0_usize, 0_usize);
    while byte < 257 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::indexing_slicing,
            reason = "fewer than 256 rows, held by a test"
        )]
        {
            while row < VENDORS.len() && (VENDORS[row].prefix[0] as usize) < byte {
                row += 1;
            }
            table[byte] = row as u8;
        }
        byte += 1;
    }
    table
}

/// The rows whose prefix begins with this byte.
pub(super) fn beginning(first: u8) -> &'static [Vendor] {
    let row = |byte: usize| BEGINNINGS.get(byte).map_or(0, |row| usize::from(*row));
    VENDORS.get(row(usize::from(first))..row(usize::from(first) + 1)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_by_their_first_byte_and_the_longer_prefix_first() {
        assert!(VENDORS.len() < 256);
        assert!(VENDORS.windows(2).all(|pair| pair[0].prefix[0] <= pair[1].prefix[0]));
        for (at, vendor) in VENDORS.iter().enumerate() {
            let hidden = VENDORS[..at].iter().find(|earlier| vendor.prefix.starts_with(earlier.prefix));
            assert!(hidden.is_none(), "{}", String::from_utf8_lossy(vendor.prefix));
        }
    }
}
