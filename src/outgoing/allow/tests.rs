//! Tests of the allow-list: attacks and honest URLs, with the expected result.

use super::*;

fn rules() -> Rules {
    Rules {
        hosts: ["hooks.example.com", "*.apps.example.com", "*.bücher.example"]
            .map(|text| text.parse().unwrap())
            .to_vec(),
        networks: ["10.20.0.0/16", "fd12::/16", "169.254.0.0/16", "fd00:ec2::/32"]
            .map(|text| text.parse().unwrap())
            .to_vec(),
        ports: vec![443, 8443],
        allow_http: false,
    }
}

fn check(rules: &Rules, url: &str) -> Result<(), Forbidden> {
    rules.check_url(&Url::parse(url).unwrap_or_else(|fault| panic!("{url}: {fault}")))
}

#[test]
fn all_parts_of_a_url_are_checked() {
    for (url, expected) in [
        ("https://hooks.example.com/in?x=1", Ok(())),
        ("https://HOOKS.example.com:443/", Ok(())),
        ("https://a.b.apps.example.com:8443/", Ok(())),
        ("https://xyz.b\u{fc}cher.example/", Ok(())),
        ("https://xyz.xn--bcher-kva.example/", Ok(())),
        ("https://10.20.3.4/", Ok(())),
        ("https://[::ffff:10.20.3.4]/", Ok(())),
        ("https://[fd12::7]/", Ok(())),
        ("http://hooks.example.com/", Err(Forbidden::Http)),
        ("ftp://hooks.example.com/", Err(Forbidden::Scheme)),
        ("file:///etc/passwd", Err(Forbidden::Scheme)),
        ("gopher://hooks.example.com/", Err(Forbidden::Scheme)),
        ("https://hooks.example.com@evil.com/", Err(Forbidden::User)),
        ("https://:x@hooks.example.com/", Err(Forbidden::User)),
        ("https://hooks.example.com/#x", Err(Forbidden::Fragment)),
        ("https://hooks.example.com./", Err(Forbidden::Host)),
        ("https://localhost./", Err(Forbidden::Host)),
        ("https://hooks.example.com:22/", Err(Forbidden::Port)),
        ("https://10.20.3.4:6379/", Err(Forbidden::Port)),
        ("https://localhost/", Err(Forbidden::Unlisted)),
        ("https://example.com/", Err(Forbidden::Unlisted)),
        ("https://apps.example.com/", Err(Forbidden::Unlisted)),
        ("https://evilapps.example.com/", Err(Forbidden::Unlisted)),
        ("https://hooks.example.com.evil.com/", Err(Forbidden::Unlisted)),
        (
            "https://hooks\u{3002}example\u{3002}com.evil.com/",
            Err(Forbidden::Unlisted),
        ),
        ("https://h\u{43e}oks.example.com/", Err(Forbidden::Unlisted)),
        ("https://evil.com\\@hooks.example.com/", Err(Forbidden::Unlisted)),
        ("https://8.8.8.8/", Err(Forbidden::Elsewhere)),
        ("https://[2606:4700::1111]/", Err(Forbidden::Elsewhere)),
        ("https://127.0.0.1/", Err(Forbidden::Address)),
        ("https://127.1/", Err(Forbidden::Address)),
        ("https://2130706433/", Err(Forbidden::Address)),
        ("https://0x7f000001/", Err(Forbidden::Address)),
        ("https://0177.0.0.1/", Err(Forbidden::Address)),
        ("https://0/", Err(Forbidden::Address)),
        ("https://127.0.0.1./", Err(Forbidden::Address)),
        ("https://\u{ff11}\u{ff12}\u{ff17}.0.0.1/", Err(Forbidden::Address)),
        ("https://\u{2460}\u{2461}\u{2466}.0.0.1/", Err(Forbidden::Address)),
        ("https://10.0.0.1/", Err(Forbidden::Address)),
        ("https://[::1]/", Err(Forbidden::Address)),
        ("https://[::]/", Err(Forbidden::Address)),
        ("https://[::ffff:10.0.0.1]/", Err(Forbidden::Address)),
        ("https://[::ffff:7f00:1]/", Err(Forbidden::Address)),
        ("https://[::127.0.0.1]/", Err(Forbidden::Address)),
        ("https://[64:ff9b::10.0.0.1]/", Err(Forbidden::Address)),
        ("https://[64:ff9b:1::10.20.0.1]/", Err(Forbidden::Address)),
        ("https://[2002:a14:304::1]/", Err(Forbidden::Address)),
        // Metadata services stay forbidden although `networks` above lists their ranges.
        (
            "https://169.254.169.254/latest/meta-data/",
            Err(Forbidden::Metadata),
        ),
        ("https://0xa9fea9fe/", Err(Forbidden::Metadata)),
        ("https://[::ffff:169.254.169.254]/", Err(Forbidden::Metadata)),
        ("https://[64:ff9b::169.254.169.254]/", Err(Forbidden::Metadata)),
        ("https://[64:ff9b:1::169.254.169.254]/", Err(Forbidden::Metadata)),
        ("https://[::169.254.169.254]/", Err(Forbidden::Metadata)),
        ("https://[2002:a9fe:a9fe::]/", Err(Forbidden::Metadata)),
        ("https://[fd00:ec2::254]/", Err(Forbidden::Metadata)),
    ] {
        assert_eq!(check(&rules(), url), expected, "{url}");
    }
}

#[test]
fn a_listed_host_may_lead_to_public_addresses_or_into_listed_networks_and_nowhere_else() {
    for (addresses, expected) in [
        ("8.8.8.8", Ok(())),
        ("8.8.8.8 2606:4700::1111", Ok(())),
        ("64:ff9b::808:808", Ok(())),
        ("::ffff:8.8.8.8", Ok(())),
        ("10.20.0.1 10.20.255.255 fd12::1", Ok(())),
        ("", Err(Forbidden::Unresolved)),
        // One of several is enough: which one is taken is not ours to choose.
        ("8.8.8.8 127.0.0.1", Err(Forbidden::Address)),
        ("10.20.0.1 8.8.8.8", Err(Forbidden::Address)),
        ("10.20.0.1 10.21.0.1", Err(Forbidden::Address)),
        ("8.8.8.8 169.254.169.254", Err(Forbidden::Metadata)),
        ("168.63.129.16", Err(Forbidden::Metadata)),
    ] {
        let all: Vec<IpAddr> = addresses
            .split_whitespace()
            .map(|text| text.parse().unwrap())
            .collect();
        assert_eq!(rules().check_addresses(&all, true, true), expected, "{addresses}");
    }
}

#[test]
fn special_ranges_are_not_public_and_their_neighbours_are() {
    for (first, last, before, after) in [
        ("0.0.0.0", "0.255.255.255", "", "1.0.0.0"),
        ("10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"),
        ("100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0"),
        ("127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0"),
        ("169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0"),
        ("172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0"),
        ("192.0.0.0", "192.0.0.255", "191.255.255.255", "192.0.1.0"),
        ("192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0"),
        ("192.88.99.0", "192.88.99.255", "192.88.98.255", "192.88.100.0"),
        ("192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0"),
        ("198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0"),
        ("198.51.100.0", "198.51.100.255", "198.51.99.255", "198.51.101.0"),
        ("203.0.113.0", "203.0.113.255", "203.0.112.255", "203.0.114.0"),
        ("224.0.0.0", "255.255.255.255", "223.255.255.255", ""),
        ("::", "1fff:ffff::", "", "2600::"),
        ("2001::", "2001:1ff:ffff::", "2000:ffff::", "2001:200::"),
        ("2001:db8::", "2001:db8:ffff::", "2001:db7:ffff::", "2001:db9::"),
        ("2002::", "2002:ffff::", "2001:ffff::", "2003::"),
        ("3fff::", "3fff:fff:ffff::", "3ffe:ffff::", "3fff:1000::"),
        ("4000::", "ffff:ffff::", "", ""),
        ("fc00::", "fdff:ffff::", "", ""),
        ("fe80::1", "febf::1", "", ""),
        ("ff02::1", "ff0e::1", "", ""),
    ] {
        for bad in [first, last] {
            assert!(!is_public(bad.parse().unwrap()), "{bad}");
        }
        for good in [before, after].into_iter().filter(|text| !text.is_empty()) {
            assert!(is_public(good.parse().unwrap()), "{good}");
        }
    }
}

#[test]
fn plain_http_goes_only_where_it_is_allowed_and_only_into_listed_networks() {
    let rules = Rules {
        networks: vec!["127.0.0.1/32".parse().unwrap()],
        ports: vec![80],
        allow_http: true,
        ..rules()
    };
    assert_eq!(check(&rules, "http://127.0.0.1/"), Ok(()));
    assert_eq!(check(&rules, "http://127.0.0.2/"), Err(Forbidden::Address));
    assert_eq!(check(&rules, "http://hooks.example.com/"), Ok(()));
    let to = |address: &str| rules.check_addresses(&[address.parse().unwrap()], true, false);
    assert_eq!(to("127.0.0.1"), Ok(()));
    assert_eq!(to("8.8.8.8"), Err(Forbidden::HttpElsewhere));
}

#[test]
fn the_text_of_a_forbidden_url_names_the_setting_to_change() {
    for (forbidden, setting) in [
        (Forbidden::Http, "webhooks.allow_http"),
        (Forbidden::Port, "webhooks.ports"),
        (Forbidden::Unlisted, "webhooks.hosts"),
        (Forbidden::Address, "webhooks.networks"),
        (Forbidden::Elsewhere, "webhooks.networks"),
        (Forbidden::HttpElsewhere, "webhooks.networks"),
    ] {
        let text = forbidden.to_string();
        assert!(text.contains(setting) && text.starts_with("must "), "{text}");
    }
}
