// The server's allocator, so that a shard in this process runs as it does there, and so does what stands beside it.
import CPerfTools
