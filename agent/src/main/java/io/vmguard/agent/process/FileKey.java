/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.agent.process;

/**
 * Which file it is, whatever it is called and wherever it is mounted: a block device by its number, for QEMU has device nodes of its own;
 * any other file by its file system's device number and inode.
 *
 * @param inode 0 for a block device
 */
public record FileKey(boolean blockDevice, long device, long inode) {}
