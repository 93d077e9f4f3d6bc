//! Binds the sockets of the listeners. `[::]` answers IPv6 and IPv4.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;

/// Connections that the kernel holds until the service accepts them.
const BACKLOG: i32 = 1_024;
/// The bytes of responses that the kernel holds for one connection. It reserves about twice as much memory.
const SEND_BUFFER: usize = 64 << 10;

/// Binds a listener.
///
/// `[::]` is every address of the machine, IPv6 and IPv4, whatever the system's default for such sockets is. On a machine
/// without IPv6, it is every IPv4 address.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    bind_with(address, open)
}

/// Binds with sockets that `open` makes.
fn bind_with(
    address: SocketAddr,
    open: impl Fn(SocketAddr) -> io::Result<TcpListener>,
) -> io::Result<TcpListener> {
    match open(address) {
        Err(error) if is_every_address(address) && lacks_ipv6(&error) => {
            let ipv4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
            tracing::warn!(%address, address_ipv4 = %ipv4, "this machine has no IPv6; listening on IPv4 only");
            open(ipv4)
        }
        bound => bound,
    }
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if is_every_address(address) {
        socket.set_only_v6(false)?;
    }
    // A restart need not wait for the end of old connections.
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit it. By default, the buffer of a client that does not read may grow to megabytes.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

fn is_every_address(address: SocketAddr) -> bool {
    address.ip() == Ipv6Addr::UNSPECIFIED
}

/// Whether the error means that the system has no IPv6: no such sockets, or no address to bind.
fn lacks_ipv6(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn every_address_is_ipv6_and_ipv4() {
        let listener = bind("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "::1"] {
            TcpStream::connect((host, port)).await.unwrap();
            listener.accept().await.unwrap();
        }
    }

    #[tokio::test]
    async fn one_address_stays_one_address() {
        let listener = bind("[::1]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect(("::1", port)).await.unwrap();
        assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    }

    #[tokio::test]
    async fn without_ipv6_every_address_is_ipv4() {
        let without_ipv6 = |address: SocketAddr| match address {
            SocketAddr::V6(_) => Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT)),
            SocketAddr::V4(_) => open(address),
        };
        let listener = bind_with("[::]:0".parse().unwrap(), without_ipv6).unwrap();
        assert_eq!(listener.local_addr().unwrap().ip(), Ipv4Addr::UNSPECIFIED);
        // One address that the machine does not have stays an error.
        assert!(bind_with("[::1]:0".parse().unwrap(), without_ipv6).is_err());
    }
}
