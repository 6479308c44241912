//! Everything that talks to the servers behind the gateway. Apart because it is the shell on that side:
//! the rest of the tree sees requests and answers, never sockets.
pub mod http1;
