//! Ports on which no web server listens, but services that would act on the bytes of a request.

/// Ports that are never dialled, ascending.
const DENIED: &[u16] = &[
    0, 1, 7, 9, 11, 13, 15, 17, 19, // echo, discard, chargen …
    20, 21, 22, 23, 25, // FTP, SSH, Telnet, SMTP
    37, 42, 43, 53, 69, 77, 79, 87, 95, // time, whois, DNS, TFTP, finger …
    101, 102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, // POP3, portmapper, NNTP, NTP …
    135, 137, 139, 143, 161, 179, // Windows RPC, NetBIOS, IMAP, SNMP, BGP
    389, 427, 445, 465, // LDAP, SLP, SMB, SMTPS
    512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563,
    587, // rexec, rlogin, syslog, printing, AFP …
    601, 623, 636, 873, 989, 990, 993, 995, // IPMI, LDAPS, rsync, FTPS, IMAPS, POP3S
    1433, 1434, 1521, 1719, 1720, 1723, // SQL Server, Oracle, H.323, PPTP
    2049, 2181, 2375, 2376, 2379, 2380, // NFS, ZooKeeper, Docker, etcd
    3306, 3389, 3659, 4045, 4190, // MySQL, RDP, NFS locks, Sieve
    5060, 5061, 5432, 5433, 5672, 5900, 5985, 5986, // SIP, PostgreSQL, AMQP, VNC, WinRM
    6000, 6379, 6380, 6432, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, // X11, Redis, PgBouncer, IRC
    9042, 9092, 9200, 9300, 10_080, 10_250, // Cassandra, Kafka, Elasticsearch, kubelet
    11_211, 27_017, 27_018, 27_019, // memcached, MongoDB
];

/// Whether a port belongs to another service than the web.
pub(super) fn is_denied(port: u16) -> bool {
    DENIED.binary_search(&port).is_ok()
}

#[cfg(test)]
mod tests {
    use super::DENIED;

    #[test]
    fn the_list_is_sorted_for_the_search() {
        assert!(DENIED.is_sorted_by(|a, b| a < b));
    }
}
