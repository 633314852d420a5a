/* SPDX-License-Identifier: Apache-2.0 */
package io.vmguard.test;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;

/** On a test class that needs containers: where there can be none it is skipped, with the reason and the remedy on stderr. */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@ExtendWith(NeedsTestImage.Condition.class)
public @interface NeedsTestImage {
    /** Decides it, once per class. */
    final class Condition implements ExecutionCondition {
        @Override
        public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
            if (context.getTestMethod().isPresent()) {
                return ConditionEvaluationResult.enabled("decided for the class");
            }
            String missing = TestContainer.missing();
            if (missing.isEmpty()) {
                return ConditionEvaluationResult.enabled("the test image is there");
            }
            System.err.println("SKIPPED " + context.getRequiredTestClass().getSimpleName() + ": " + missing);
            return ConditionEvaluationResult.disabled(missing);
        }
    }
}
