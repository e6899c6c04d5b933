import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.KeyValueStore;

/** Counts by key, each new count a result, until it is killed; settings are in recovery.py. */
public final class RecoveryCount {
    private static final Serde<String> KEY = Serdes.String();
    private static final Serde<byte[]> BYTES = Serdes.ByteArray();

    public static void main(String[] arguments) throws Exception {
        Map<String, String> told = new HashMap<>();
        for (String argument : arguments) {
            int at = argument.indexOf('=');
            told.put(argument.substring(0, at), argument.substring(at + 1));
        }
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(told.get("topic"), Consumed.with(KEY, BYTES))
                .groupByKey(Grouped.with(KEY, BYTES))
                .count(Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as("counts"))
                .toStream()
                .mapValues(count -> "" + count)
                .to(told.get("output"), Produced.with(KEY, Serdes.String()));
        KafkaStreams streams = new KafkaStreams(builder.build(), properties(told));
        streams.start();
        while (streams.state() != KafkaStreams.State.ERROR) {
            Thread.sleep(200);
        }
        System.exit(1);
    }

    private static Properties properties(Map<String, String> told) {
        Properties found = new Properties();
        found.put(StreamsConfig.APPLICATION_ID_CONFIG, told.get("application"));
        found.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, told.get("bootstrap"));
        found.put(StreamsConfig.STATE_DIR_CONFIG, told.get("state"));
        found.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        found.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        found.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        found.put(StreamsConfig.NUM_STANDBY_REPLICAS_CONFIG, told.get("standby"));
        found.put("session.timeout.ms", told.get("session_timeout_ms"));
        found.put("auto.offset.reset", "earliest");
        return found;
    }
}
