#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What `vmguard explain` says of the domains in libvirt's own tests, counted, and read a second time without vmguard.

  test/libvirt-domains.py SOURCES [COMMAND...]    SOURCES: an unpacked libvirt (apt-get source libvirt). COMMAND is vmguard's,
                                                  if it is not "vmguard"

Every file SOURCES/tests/**.xml (but no link) with a <domain> or a <domstatus> is given to one call. Then each device in it that
may hold data is looked up in the answer. Fails if one has none, if a file is neither answered nor named on stderr, or if a disk
that may be written has no exclusive lease, no reason and no refusal. The numbers are in docs/identity.md.
"""
import collections
import json
import pathlib
import re
import subprocess
import sys
from xml.etree import ElementTree

DOMAIN = re.compile(rb'<(domain|domstatus)[ >]')


def devices(domain):
    """The names under which vmguard speaks of what may hold data, and whether each is a disk that a guest may write."""
    for kind in ('nvram', 'varstore'):
        for _ in domain.findall('os/' + kind):
            yield kind, False
    for loader in domain.findall('os/loader'):
        if loader.get('readonly') != 'yes' and loader.get('type') == 'pflash' and (loader.text or '').strip():
            yield 'loader', False
    counts = collections.Counter()
    for device in domain.findall('devices/*'):
        kind = device.tag
        counts[kind] += 1
        if kind == 'disk':
            target = device.find('target')
            name = target.get('dev') if target is not None else None
            loose = {'readonly', 'shareable', 'transient'} & {child.tag for child in device} or device.get('device') == 'cdrom'
            yield name or f'disk #{counts[kind]}', not loose
        elif kind in ('hostdev', 'filesystem', 'shmem'):
            yield f'{kind} #{counts[kind]}', False
        elif kind == 'memory' and device.get('model') in ('nvdimm', 'virtio-pmem'):
            yield f'memory #{counts[kind]}', False
        elif kind == 'tpm':
            yield 'tpm' if counts[kind] == 1 else f'tpm #{counts[kind]}', False
        elif kind == 'lease':
            yield 'lease ' + (device.findtext('key') or '').strip(), False


def find(sources):
    return sorted(str(file) for file in pathlib.Path(sources, 'tests').rglob('*.xml')
                  if file.is_file() and not file.is_symlink() and DOMAIN.search(file.read_bytes()))


def main(sources, command):
    files = find(sources)
    if not files:
        sys.exit(f'there are no domains below {sources}/tests')
    asked = subprocess.run(command + ['explain', '--format', 'json'] + files, capture_output=True, text=True, check=False)
    answers = {answer['file']: answer for answer in map(json.loads, asked.stdout.splitlines())}
    other = [line for line in asked.stderr.splitlines() if 'neither <domain> nor <domstatus>' in line]
    trouble = [f'on stderr: {line}' for line in asked.stderr.splitlines() if line not in other]
    if len(answers) + len(other) != len(files):
        trouble.append(f'{len(files)} files, {len(answers)} answers and {len(other)} that are no domain')
    parts, reasons, looked_up = collections.Counter(), collections.Counter(), 0
    for file, answer in answers.items():
        said = collections.defaultdict(set)
        for part in ('leases', 'unprotected', 'refused'):
            for row in answer.get(part, []):
                parts[part] += 1
                said[row['target']].add(row.get('mode', part))
                if part == 'refused':
                    reasons[re.sub(r'(are not known): \S*/\S*: .*|volume \S+', r'\1', row['reason'])] += 1
        root = ElementTree.parse(file).getroot()
        for target, writable in devices(root if root.tag == 'domain' else root.find('domain')):
            looked_up += 1
            if target not in said:
                trouble.append(f'{file}: nothing is said of {target}')
            elif writable and not said[target] & {'exclusive', 'unprotected', 'refused'}:
                trouble.append(f'{file}: {target} may be written with {said[target]}')
    print(f'{len(answers)} domains, {len(other)} other files, {looked_up} devices that may hold data, {parts["leases"]} leases, '
          f'{parts["unprotected"]} parts without a lease, {parts["refused"]} refused')
    for reason, count in reasons.most_common():
        print(f'  refused {count}: {reason}')
    sys.exit('\n'.join(trouble) if trouble else 0)


if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:] or ['vmguard'])
