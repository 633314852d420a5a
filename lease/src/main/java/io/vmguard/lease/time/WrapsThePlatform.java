/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.lease.time;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** Marks the few adapters that may read a clock, wait, draw a random number or end the process; the build bans these elsewhere. */
@Retention(RetentionPolicy.CLASS)
@Target({ElementType.TYPE, ElementType.METHOD, ElementType.CONSTRUCTOR})
public @interface WrapsThePlatform {}
