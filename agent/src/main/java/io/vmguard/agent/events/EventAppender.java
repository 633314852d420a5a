/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.events;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.core.LogEvent;
import org.apache.logging.log4j.core.Logger;
import org.apache.logging.log4j.core.appender.AbstractAppender;
import org.apache.logging.log4j.core.config.Property;

/** Copies each line that has a code into an {@link EventLog}. Does nothing that could wait. */
public final class EventAppender extends AbstractAppender {
    private static final Pattern CODED = Pattern.compile("(VG-[0-9]{3}) (.*)", Pattern.DOTALL);
    private static final int MAX_CHARS = 2000;

    private final EventLog events;

    private EventAppender(EventLog events) {
        super("events", null, null, true, Property.EMPTY_ARRAY);
        this.events = events;
    }

    /** From now on every line of this process goes there as well. */
    public static EventAppender attach(EventLog events) {
        EventAppender appender = new EventAppender(events);
        appender.start();
        root().addAppender(appender);
        return appender;
    }

    /** Ends that. */
    public void detach() {
        root().removeAppender(this);
        stop();
    }

    private static Logger root() {
        return (Logger) LogManager.getRootLogger();
    }

    @Override
    public void append(LogEvent event) {
        Matcher coded = CODED.matcher(event.getMessage().getFormattedMessage());
        if (coded.matches()) {
            String message = coded.group(2);
            events.add(
                    event.getInstant().getEpochSecond(),
                    event.getLevel().name().toLowerCase(Locale.ROOT),
                    coded.group(1),
                    message.length() <= MAX_CHARS ? message : message.substring(0, MAX_CHARS) + "…");
        }
    }
}
