// The search attributes that a Temporal namespace needs for our workflows: names, and nothing that is secret, because they are never encrypted.
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';

export const spiffeTrustDomain = defineSearchAttributeKey('SpiffeTrustDomain', SearchAttributeType.KEYWORD);
export const provisionPhase = defineSearchAttributeKey('ProvisionPhase', SearchAttributeType.KEYWORD);
