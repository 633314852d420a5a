/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Tests against the real thing, and the fixtures for them: directories that several hosts share, hosts with a stock sanlock, hosts
 * with systemd, libvirt and QEMU, a Ceph cluster. All are containers of the image that {@code test/infra} builds.
 */
@NullMarked
package io.vmguard.test;

import org.jspecify.annotations.NullMarked;
